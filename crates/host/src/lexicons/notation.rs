//! Reads `known.lex`, this project's short way of writing lexicons; the file itself explains it.

use std::collections::BTreeMap;

use p2pds_lexicon::{Catalog, Document};
use serde_json::{Map, Value, json};

/// The definitions of each NSID, by name.
type Lexicons = BTreeMap<String, Map<String, Value>>;

/// Reads a text in the notation.
///
/// # Errors
/// The line, and what it does not say right.
pub(super) fn read(text: &str) -> Result<Catalog, String> {
    let mut lexicons = Lexicons::new();
    let mut open: Option<(String, String)> = None;
    for (number, line) in (1_usize..).zip(text.lines()) {
        let what = line.trim();
        if what.is_empty() || what.starts_with('#') {
            continue;
        }
        let done = if line.starts_with(' ') {
            let of = open.as_ref().ok_or_else(|| "a field of nothing".to_owned());
            of.and_then(|(id, name)| field(&mut lexicons, id, name, what))
        } else {
            definition(&mut lexicons, what).map(|name| open = Some(name))
        };
        done.map_err(|why| format!("line {number}: {why}"))?;
    }
    let mut catalog = Catalog::new();
    for (id, defs) in lexicons {
        let json = json!({ "lexicon": 1, "id": id, "defs": defs }).to_string();
        catalog.insert(Document::parse(json.as_bytes()).map_err(|e| e.to_string())?);
    }
    match catalog.dangling().first() {
        Some((id, to)) => Err(format!("{id} refers to {to}, which is not there")),
        None => Ok(catalog),
    }
}

/// A line that begins a definition; answers where its fields belong.
fn definition(lexicons: &mut Lexicons, line: &str) -> Result<(String, String), String> {
    let (word, rest) = line.split_once(' ').ok_or("a definition without a name")?;
    let (name, more) = rest.split_once(' ').unwrap_or((rest, ""));
    let (id, name) = name.split_once('#').unwrap_or((name, "main"));
    let made = match (word, more) {
        ("record", key) => {
            let key = key.strip_prefix('=').map_or(key.to_owned(), |literal| format!("literal:{literal}"));
            json!({ "type": "record", "key": key, "record": object() })
        }
        ("object", "") => object(),
        ("token", "") => json!({ "type": "token" }),
        ("value", of) => one(of)?,
        _ => return Err(format!("{word:?} begins no definition")),
    };
    let before = lexicons.entry(id.to_owned()).or_default().insert(name.to_owned(), made);
    match before {
        Some(_) => Err(format!("{id}#{name} is defined twice")),
        None => Ok((id.to_owned(), name.to_owned())),
    }
}

fn object() -> Value {
    json!({ "type": "object", "properties": {}, "required": [] })
}

/// A line with a field.
fn field(lexicons: &mut Lexicons, id: &str, name: &str, line: &str) -> Result<(), String> {
    let (field, of) = line.split_once(' ').ok_or("a field without a type")?;
    let (field, required) = field.strip_suffix('!').map_or((field, false), |field| (field, true));
    let schema = one(of.trim())?;
    let target = lexicons.get_mut(id).and_then(|defs| defs.get_mut(name)).ok_or("a field of nothing")?;
    let target = if target.get("record").is_some() { target.get_mut("record") } else { Some(target) };
    let properties = target.and_then(Value::as_object_mut).ok_or("a field of what has none")?;
    if required && let Some(Value::Array(list)) = properties.get_mut("required") {
        list.push(field.into());
    }
    let fields =
        properties.get_mut("properties").and_then(Value::as_object_mut).ok_or("a field of what has none")?;
    fields.insert(field.to_owned(), schema);
    Ok(())
}

/// A type that is the whole text.
fn one(text: &str) -> Result<Value, String> {
    let (schema, rest) = kind(text)?;
    let rest = rest.trim();
    if rest.is_empty() { Ok(schema) } else { Err(format!("{rest:?} after a type")) }
}

/// The type at the front of the text, and what follows it.
fn kind(text: &str) -> Result<(Value, &str), String> {
    if let Some(inner) = text.strip_prefix('[') {
        let (items, rest) = kind(inner.trim_start())?;
        let rest = rest.trim_start().strip_prefix(']').ok_or("a list without its end")?;
        let (bounds, rest) = parentheses(rest)?;
        let mut list = json!({ "type": "array", "items": items });
        bound(&mut list, bounds, "minLength", "maxLength")?;
        return Ok((list, rest));
    }
    if let Some(inner) = text.strip_prefix('|') {
        let end = inner.find(']').unwrap_or(inner.len());
        let (names, rest) = inner.split_at_checked(end).unwrap_or((inner, ""));
        let refs: Vec<&str> = names.split_whitespace().collect();
        return Ok((json!({ "type": "union", "refs": refs }), rest));
    }
    let end = text.find([' ', '(', ']']).unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    let (bounds, rest) = parentheses(rest)?;
    Ok((simple(word, bounds)?, rest))
}

fn simple(word: &str, bounds: &str) -> Result<Value, String> {
    Ok(match word {
        "text" => text(json!({ "type": "string" }), bounds)?,
        "datetime" | "did" | "at-uri" | "uri" | "handle" | "language" | "nsid" | "cid" => {
            text(json!({ "type": "string", "format": word }), bounds)?
        }
        "bool" => json!({ "type": "boolean" }),
        "bytes" => json!({ "type": "bytes" }),
        "int" => {
            let mut integer = json!({ "type": "integer" });
            bound(&mut integer, bounds, "minimum", "maximum")?;
            integer
        }
        "blob" => {
            let (size, accept) = bounds.split_once(' ').ok_or("a blob without its size and types")?;
            let size: u64 = size.parse().map_err(|_| format!("{size:?} is no size"))?;
            let accept: Vec<&str> = accept.split_whitespace().collect();
            json!({ "type": "blob", "maxSize": size, "accept": accept })
        }
        name if name.contains(['.', '#']) => json!({ "type": "ref", "ref": name }),
        other => return Err(format!("{other:?} is no type")),
    })
}

fn text(mut schema: Value, bounds: &str) -> Result<Value, String> {
    for part in bounds.split_whitespace() {
        match part.strip_suffix('g') {
            Some(graphemes) => bound(&mut schema, graphemes, "minGraphemes", "maxGraphemes")?,
            None => bound(&mut schema, part, "minLength", "maxLength")?,
        }
    }
    Ok(schema)
}

/// What stands in parentheses at the front of the text, and what follows.
fn parentheses(text: &str) -> Result<(&str, &str), String> {
    match text.strip_prefix('(') {
        Some(inner) => inner.split_once(')').ok_or_else(|| "parentheses without their end".to_owned()),
        None => Ok(("", text)),
    }
}

/// Sets the bounds that `low..high` says; either may be left out.
fn bound(schema: &mut Value, bounds: &str, low: &str, high: &str) -> Result<(), String> {
    if bounds.is_empty() {
        return Ok(());
    }
    let (from, to) = bounds.split_once("..").ok_or_else(|| format!("{bounds:?} is no range"))?;
    let fields = schema.as_object_mut().ok_or("bounds of nothing")?;
    for (name, number) in [(low, from), (high, to)] {
        if !number.is_empty() {
            let number: i64 = number.parse().map_err(|_| format!("{number:?} is no number"))?;
            fields.insert(name.to_owned(), number.into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_says_something_wrong_names_its_line() {
        for (text, why) in [
            ("  text! text", "line 1: a field of nothing"),
            ("record a.b.c tid\n  x thing", "line 2: \"thing\" is no type"),
            ("record a.b.c tid\n  x [text", "line 2: a list without its end"),
            ("record a.b.c tid\n  x text(1..2", "line 2: parentheses without their end"),
            ("record a.b.c tid\n  x text(12)", "line 2: \"12\" is no range"),
            ("record a.b.c tid\n  x blob(9)", "line 2: a blob without its size and types"),
            ("record a.b.c tid\n  x text more", "line 2: \"more\" after a type"),
            ("record a.b.c tid\nrecord a.b.c tid", "line 2: a.b.c#main is defined twice"),
            ("# a\n\nthing a.b.c", "line 3: \"thing\" begins no definition"),
            ("record a.b.c tid\n  x d.e.f", "a.b.c refers to d.e.f, which is not there"),
        ] {
            let said = read(text).map(|catalog| catalog.len()).unwrap_err();
            assert!(said.contains(why), "{text:?}: {said}");
        }
    }
}
