//! Queries of addresses, read without refusing what is not known.

/// The first value of a name.
#[must_use]
pub fn text(query: Option<&str>, name: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).filter(|value| !value.is_empty())
}

/// The first value of a name as a number.
#[must_use]
pub fn number(query: Option<&str>, name: &str) -> Option<usize> {
    text(query, name)?.parse().ok()
}
