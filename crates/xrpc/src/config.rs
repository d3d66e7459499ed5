//! What the public door is told at its start.

/// Settings of the door; the node's `[serving]` section says what each is for.
#[derive(Debug, Clone)]
pub struct XrpcConfig {
    /// Bearer tokens of the peers that the operator chose.
    pub peer_tokens: Vec<String>,
    /// The name under which this node is asked as a mirror, lower case.
    pub mirror_hostname: Option<String>,
    /// The node hosts no accounts, so that every name of it is a mirror.
    pub archive_only: bool,
}

impl Default for XrpcConfig {
    fn default() -> Self {
        Self { peer_tokens: Vec::new(), mirror_hostname: None, archive_only: true }
    }
}
