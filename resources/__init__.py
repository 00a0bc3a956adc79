"""One class for each outside thing, cheap to construct, connected when it is used; and the embedded platform."""
