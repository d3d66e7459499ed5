//! DID documents, did:plc logs, did:web and handle rules
