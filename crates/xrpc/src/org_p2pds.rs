//! The methods of this project's own namespace.
