"""The one error of the client side of the world."""


class WorldError(Exception):
    """The server or the map refused something; the message is one line that names it and the mend."""
