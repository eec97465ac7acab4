"""The paths under /api/v1, a module for each subject, and the pages of probers."""
