"""The assets: a module for each kind, with its checks and its launchpad."""
