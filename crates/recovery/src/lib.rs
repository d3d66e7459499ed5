//! Export, restore instructions and the restore drill
