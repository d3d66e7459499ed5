//! The stylesheet, the script and the sign, compiled in, under names that change with their content.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use data_encoding::HEXLOWER;
use maud::{Markup, html};
use sha2::{Digest as _, Sha256};

/// A file that pages load.
#[derive(Debug)]
pub struct Asset {
    name: &'static str,
    kind: &'static str,
    /// Its content.
    pub bytes: &'static str,
    path: LazyLock<String>,
}

macro_rules! asset {
    ($name:literal, $stem:literal, $end:literal, $kind:literal) => {
        Asset {
            name: $name,
            kind: $kind,
            bytes: include_str!(concat!("../assets/", $name)),
            path: LazyLock::new(|| {
                let digest = Sha256::digest(include_bytes!(concat!("../assets/", $name)));
                let short = HEXLOWER.encode(&digest).chars().take(12).collect::<String>();
                format!("/assets/{}.{short}.{}", $stem, $end)
            }),
        }
    };
}

/// How pages look.
pub static STYLE: Asset = asset!("p2pds.css", "p2pds", "css", "text/css; charset=utf-8");
/// What pages do where there is script.
pub static SCRIPT: Asset = asset!("p2pds.js", "p2pds", "js", "text/javascript; charset=utf-8");
/// The sign.
pub static ICON: Asset = asset!("icon.svg", "icon", "svg", "image/svg+xml");

impl Asset {
    /// Where it is served.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// `/assets/{name}`. A name with another digest is of another version of this program: it gets what there is now, not
/// to be kept.
pub async fn serve(Path(name): Path<String>) -> Response {
    for asset in [&STYLE, &SCRIPT, &ICON] {
        let path = format!("/assets/{name}");
        let stem = asset.name.split('.').next().unwrap_or_default();
        let end = asset.name.rsplit('.').next().unwrap_or_default();
        let exact = path == asset.path();
        if exact || name.starts_with(&format!("{stem}.")) && name.ends_with(&format!(".{end}")) {
            let keep = if exact { "public, max-age=31536000, immutable" } else { "no-cache" };
            let headers = [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, keep)];
            return (headers, asset.bytes).into_response();
        }
    }
    (StatusCode::NOT_FOUND, "nothing here\n").into_response()
}

/// The sign within a page.
#[must_use]
pub fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 32 32" aria-hidden="true" focusable="false" {
            path d="M16 2 4 7v9c0 7 5 12 12 14 7-2 12-7 12-14V7z" {}
            circle cx="12" cy="14" r="3" {}
            circle cx="20" cy="14" r="3" {}
            path.line d="M15 14h2M12 17v3a4 4 0 0 0 8 0v-3" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_enough() {
        assert!(STYLE.bytes.len() < 40 * 1024, "{}", STYLE.bytes.len());
        assert!(SCRIPT.bytes.len() < 30 * 1024, "{}", SCRIPT.bytes.len());
    }

    /// Names and values of all declarations.
    fn declarations(css: &str) -> Vec<(String, String)> {
        let mut rest = css.to_owned();
        while let Some((before, after)) = rest.clone().split_once("/*") {
            rest = format!("{before}{}", after.split_once("*/").unwrap().1);
        }
        let mut found = Vec::new();
        // Whatever stands before a brace is a selector; whatever stands between `;` is a declaration.
        for part in rest.split(['{', '}']) {
            for text in part.split(';') {
                if let Some((name, value)) = text.split_once(':') {
                    found.push((name.trim().to_owned(), value.trim().to_owned()));
                }
            }
        }
        found
    }

    /// Whether a declaration names a side that is another one where lines begin on the right.
    fn takes_sides(name: &str, value: &str) -> bool {
        let sides = ["left", "right"];
        let named = name.split('-').any(|part| sides.contains(&part));
        let words: Vec<&str> = value.split_whitespace().collect();
        let valued = ["text-align", "float", "clear", "justify-content", "background-position"]
            .contains(&name)
            && words.iter().any(|word| sides.contains(word));
        // Top, right, bottom, left.
        let four = ["margin", "padding", "inset", "border-width", "border-color", "border-style"]
            .contains(&name)
            && !value.contains('(')
            && matches!(words.as_slice(), [_, right, _, left] if right != left);
        let corners = name == "border-radius" && words.len() > 1;
        named || valued || four || corners
    }

    #[test]
    fn the_stylesheet_takes_no_sides() {
        let all = declarations(STYLE.bytes);
        assert!(all.len() > 300, "{}", all.len());
        let sided: Vec<_> = all.iter().filter(|(name, value)| takes_sides(name, value)).collect();
        assert!(sided.is_empty(), "use inline-start and inline-end: {sided:?}");
        for (name, value) in [
            ("margin-left", "1rem"),
            ("padding-right", "0"),
            ("border-left-width", "1px"),
            ("border-top-left-radius", "1px"),
            ("left", "0"),
            ("right", "auto"),
            ("float", "left"),
            ("text-align", "right"),
            ("padding", "1px 2px 3px 4px"),
            ("border-radius", "1px 2px"),
        ] {
            assert!(takes_sides(name, value), "{name}: {value}");
        }
        assert!(!takes_sides("padding", "1px 2px 3px 2px") && !takes_sides("margin-inline-start", "1px"));
    }

    #[tokio::test]
    async fn served_for_good_under_their_own_name() {
        let cached =
            |response: &Response| response.headers()[header::CACHE_CONTROL].to_str().unwrap().to_owned();
        for asset in [&STYLE, &SCRIPT, &ICON] {
            let name = asset.path().strip_prefix("/assets/").unwrap().to_owned();
            assert!(cached(&serve(Path(name)).await).contains("immutable"));
        }
        assert_eq!(cached(&serve(Path("p2pds.000000000000.css".to_owned())).await), "no-cache");
        assert_eq!(serve(Path("../Cargo.toml".to_owned())).await.status(), StatusCode::NOT_FOUND);
    }
}
