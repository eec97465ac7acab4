"""Side by side with other job queues: the same work, on the same server, in the same run."""
