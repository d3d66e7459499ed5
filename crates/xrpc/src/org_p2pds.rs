//! The methods of this project's own namespace. Their schemas lie in `lexicons/`.

pub mod lexicon;
pub mod plc;
