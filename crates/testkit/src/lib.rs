//! Test nodes, hostile builders and servers, the reference stack
