"""One plug-in of each kind, as another package would bring them."""
