//! CIDs, strict DRISL/DAG-CBOR and CAR v1
