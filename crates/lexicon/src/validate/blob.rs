//! Blob references.

use p2pds_ipld::cbor::Value;

use super::Validator;
use crate::ValidationError;
use crate::schema::BlobSchema;

impl Validator<'_> {
    /// Checks `{$type: blob, ref, mimeType, size}`. The legacy form `{cid, mimeType}` is refused: it is read where it
    /// stands and never valid for new records.
    pub(super) fn blob(&self, schema: &BlobSchema, value: &Value) -> Result<(), ValidationError> {
        let field = |name: &str| value.get(name);
        if field("$type").and_then(Value::as_text) != Some("blob") {
            return self.expected("a blob reference (an object with $type \"blob\")", value);
        }
        if !matches!(field("ref"), Some(Value::Link(_))) {
            return self.wrong("is a blob reference without a link in \"ref\"");
        }
        let Some(mime) = field("mimeType").and_then(Value::as_text).filter(|mime| !mime.is_empty()) else {
            return self.wrong("is a blob reference without a \"mimeType\"");
        };
        let Some(size) = field("size").and_then(Value::as_int).and_then(|size| u64::try_from(size).ok())
        else {
            return self.wrong("is a blob reference without a \"size\"");
        };
        if let Some(max) = schema.max_size.filter(|max| size > *max) {
            return self.wrong(format!("is a blob of {size} bytes, {max} are allowed"));
        }
        match &schema.accept {
            Some(accept) if !accept.iter().any(|pattern| accepts(pattern, mime)) => {
                self.wrong(format!("is a blob of type {mime}, allowed are {}", accept.join(", ")))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a pattern (`image/png`, `image/*`, `*/*`) covers a MIME type.
fn accepts(pattern: &str, mime: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some("*/" | "") => true,
        Some(prefix) => mime.starts_with(prefix),
        None => mime == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::accepts;

    #[test]
    fn patterns() {
        assert!(accepts("*/*", "a/b") && accepts("*", "a/b") && accepts("image/*", "image/png"));
        assert!(accepts("image/png", "image/png"));
        assert!(!accepts("image/*", "imagex/png") && !accepts("image/png", "image/png2"));
    }
}
