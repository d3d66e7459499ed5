//! Cookies, read and written.

use axum::http::{HeaderMap, header};

/// The value of a cookie. Of two with one name the first counts.
#[must_use]
pub fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_its_name() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "a=1; b=2;c=3".parse().unwrap());
        headers.append(header::COOKIE, "b=4; d=x=y".parse().unwrap());
        assert_eq!(cookie(&headers, "b"), Some("2"));
        assert_eq!(cookie(&headers, "c"), Some("3"));
        assert_eq!(cookie(&headers, "d"), Some("x=y"));
        assert_eq!(cookie(&headers, "e"), None);
    }
}
