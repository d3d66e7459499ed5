//! The one outbound HTTP client, the address table and DNS
