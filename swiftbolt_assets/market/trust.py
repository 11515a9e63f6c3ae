"""stub"""


def distrust(bars, sessions):
    return None
