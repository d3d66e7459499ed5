//! DNS-like labels, which handles and NSIDs share.

/// Longest label of a domain name.
pub(crate) const MAX_LABEL: usize = 63;
/// Longest domain name in text form.
pub(crate) const MAX_NAME: usize = 253;

/// Checks one label: 1 to 63 letters, digits and inner hyphens.
///
/// The error is the broken rule and the offset in the label.
pub(crate) fn check_label(label: &str) -> Result<(), (&'static str, usize)> {
    if label.is_empty() {
        return Err(("an empty part between dots is not allowed", 0));
    }
    if label.len() > MAX_LABEL {
        return Err(("a part between dots has more than 63 characters", MAX_LABEL));
    }
    if let Some(at) = label.bytes().position(|b| !b.is_ascii_alphanumeric() && b != b'-') {
        return Err(("only ASCII letters, digits, hyphens and dots are allowed", at));
    }
    if label.starts_with('-') {
        return Err(("a part between dots may not start with a hyphen", 0));
    }
    if label.ends_with('-') {
        return Err(("a part between dots may not end with a hyphen", label.len().saturating_sub(1)));
    }
    Ok(())
}

/// Walks the labels of `name` with the byte offset at which each starts.
pub(crate) fn labels(name: &str) -> impl Iterator<Item = (usize, &str)> {
    name.split('.').scan(0_usize, |next, label| {
        let start = *next;
        *next = start.saturating_add(label.len()).saturating_add(1);
        Some((start, label))
    })
}
