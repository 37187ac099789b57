"""The systems of the town, each an ASGI application that speaks as the real one does."""
