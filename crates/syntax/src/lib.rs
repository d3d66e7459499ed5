//! AT Protocol identifiers, parsed once
