"""The protocols as small machines, of which every order of steps is tried. The fault tests try the real ones."""
