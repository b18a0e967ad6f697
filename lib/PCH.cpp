// Owns the precompiled header (PCH.h); it has no code.
