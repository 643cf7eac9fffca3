"""Mappings learned while a student trains, against written ones."""
