"""Nouns: frozen data that every other room speaks in. No torch, no SQL, no HTTP."""
