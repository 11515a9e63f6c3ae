"""The macOS app played: its decoders, the calls of three of its states, and how it opens a symbol.

Written from the app's own source (PapaPablano/SwiftBolt_ML, `client-macos/SwiftBoltML`): S1 is
98177c6, the app of the first document; S2 is 6fcd887, the one of the second; HEAD is 381a001. What
belongs here: facts of the app, each with file and line. What does not: anything of the API's own;
a decoder that shared a type with it would prove nothing.
"""
