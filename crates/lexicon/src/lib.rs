//! Lexicon schemas and record validation
