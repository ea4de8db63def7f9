//! The files: `conformance/vectors/<protocol>/<component>.json`.

use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Version of the file format and of the line protocol.
pub const FORMAT: u64 = 1;

/// The profile of a test that names none.
pub const DEFAULT_PROFILE: &str = "default";

/// One vector: a short script.
#[derive(Clone, Debug)]
pub struct Test {
    /// Unique over all files.
    pub id: String,
    /// What the case is about.
    pub comment: String,
    /// Free words; `unconfirmed` is one that the runner knows.
    pub flags: Vec<String>,
    /// Who outside made or confirmed the case.
    pub source: Source,
    /// Asked only of implementations that offer it.
    pub profile: String,
    /// What to ask, in order.
    pub steps: Vec<Step>,
}

impl Test {
    /// Whether nobody outside Stillwire has confirmed the case.
    pub fn is_unconfirmed(&self) -> bool {
        self.source.name == "unconfirmed" || self.flags.iter().any(|flag| flag == "unconfirmed")
    }
}

/// Who made or confirmed a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Name of the outside implementation, or `unconfirmed`.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// One question and what must come back.
#[derive(Clone, Debug)]
pub struct Step {
    /// The object to send.
    pub ask: Map<String, Value>,
    /// What the reply must hold.
    pub expect: Map<String, Value>,
    /// Names for values of the reply: name to key.
    pub bind: BTreeMap<String, String>,
}

/// Reads one file. The text of an error says what is wrong with it.
pub fn load(path: &Path) -> Result<Vec<Test>, String> {
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    let value: Value = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    parse(&value)
}

/// Reads the tests of a parsed file.
pub fn parse(file: &Value) -> Result<Vec<Test>, String> {
    let file = object(file, "the file")?;
    if file.get("format").and_then(Value::as_u64) != Some(FORMAT) {
        return Err(format!("`format` is not {FORMAT}"));
    }
    for key in ["protocol", "component"] {
        text(file, key)?;
    }
    let source = source(file)?.ok_or("`source` is missing")?;
    let tests = list(file, "tests")?;
    if tests.is_empty() {
        return Err("there are no tests".to_owned());
    }
    tests
        .iter()
        .enumerate()
        .map(|(index, value)| {
            test(value, &source).map_err(|error| {
                let id = value.get("id").and_then(Value::as_str).unwrap_or("?");
                format!("test {index} ({id}): {error}")
            })
        })
        .collect()
}

fn test(value: &Value, file_source: &Source) -> Result<Test, String> {
    let fields = object(value, "the test")?;
    known(
        fields,
        &["id", "comment", "flags", "source", "profile", "steps"],
    )?;
    let steps = list(fields, "steps")?;
    if steps.is_empty() {
        return Err("there are no steps".to_owned());
    }
    let flags = match fields.get("flags") {
        None => Vec::new(),
        Some(_) => list(fields, "flags")?
            .iter()
            .map(|flag| flag.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or("`flags` holds something that is not text")?,
    };
    Ok(Test {
        id: text(fields, "id")?,
        comment: text(fields, "comment")?,
        flags,
        source: source(fields)?.unwrap_or_else(|| file_source.clone()),
        profile: match fields.get("profile") {
            None => DEFAULT_PROFILE.to_owned(),
            Some(_) => text(fields, "profile")?,
        },
        steps: steps
            .iter()
            .enumerate()
            .map(|(index, value)| step(value).map_err(|error| format!("step {index}: {error}")))
            .collect::<Result<_, _>>()?,
    })
}

fn step(value: &Value) -> Result<Step, String> {
    let fields = object(value, "the step")?;
    known(fields, &["do", "expect", "bind"])?;
    let ask = object(fields.get("do").unwrap_or(&Value::Null), "`do`")?.clone();
    text(&ask, "op")?;
    let mut bind = BTreeMap::new();
    if let Some(value) = fields.get("bind") {
        for (name, key) in object(value, "`bind`")? {
            let key = key.as_str().ok_or("`bind` names a key that is not text")?;
            bind.insert(name.clone(), key.to_owned());
        }
    }
    let expect = object(fields.get("expect").unwrap_or(&Value::Null), "`expect`")?;
    Ok(Step {
        ask,
        expect: expect.clone(),
        bind,
    })
}

fn source(fields: &Map<String, Value>) -> Result<Option<Source>, String> {
    let Some(value) = fields.get("source") else {
        return Ok(None);
    };
    let source = object(value, "`source`")?;
    Ok(Some(Source {
        name: text(source, "name")?,
        version: text(source, "version")?,
    }))
}

fn object<'a>(value: &'a Value, what: &str) -> Result<&'a Map<String, Value>, String> {
    value
        .as_object()
        .ok_or_else(|| format!("{what} is not an object"))
}

fn text(fields: &Map<String, Value>, key: &str) -> Result<String, String> {
    match fields.get(key) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(format!("`{key}` is not text")),
        None => Err(format!("`{key}` is missing")),
    }
}

fn list<'a>(fields: &'a Map<String, Value>, key: &str) -> Result<&'a [Value], String> {
    match fields.get(key) {
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(format!("`{key}` is not a list")),
        None => Err(format!("`{key}` is missing")),
    }
}

fn known(fields: &Map<String, Value>, names: &[&str]) -> Result<(), String> {
    match fields.keys().find(|key| !names.contains(&key.as_str())) {
        Some(key) => Err(format!("`{key}` is not a key of the format")),
        None => Ok(()),
    }
}

/// The vector files under `path`, sorted: itself if it is a file, else every `.json` below it.
///
/// Nothing there is an error: a missing vector must not look like a passing one.
pub fn find(path: &Path) -> Result<Vec<PathBuf>, String> {
    let describe = |error: std::io::Error| error.to_string();
    if std::fs::metadata(path).map_err(describe)?.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(describe)? {
            let entry = entry.map_err(describe)?;
            let kind = entry.file_type().map_err(describe)?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if entry.path().extension().is_some_and(|end| end == "json") {
                found.push(entry.path());
            }
        }
    }
    if found.is_empty() {
        return Err("there is no vector file in it".to_owned());
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn file(test: &Value) -> Value {
        json!({
            "format": 1, "protocol": "p", "component": "c",
            "source": {"name": "peer", "version": "1"}, "tests": [test]
        })
    }

    #[test]
    fn defaults_come_from_the_file() {
        let tests = parse(&file(&json!({
            "id": "a", "comment": "", "steps": [{"do": {"op": "x"}, "expect": {}}]
        })))
        .unwrap();
        assert_eq!(tests[0].profile, "default");
        assert_eq!(tests[0].source.name, "peer");
        assert!(!tests[0].is_unconfirmed());
    }

    #[test]
    fn unconfirmed_by_flag_or_by_source() {
        for extra in [
            json!({"flags": ["negative", "unconfirmed"]}),
            json!({"source": {"name": "unconfirmed", "version": ""}}),
        ] {
            let mut test = json!({
                "id": "a", "comment": "", "steps": [{"do": {"op": "x"}, "expect": {}}]
            });
            let fields = test.as_object_mut().unwrap();
            fields.extend(extra.as_object().unwrap().clone());
            assert!(parse(&file(&test)).unwrap()[0].is_unconfirmed(), "{extra}");
        }
    }

    #[test]
    fn a_malformed_test_is_named() {
        let good = json!({"do": {"op": "x"}, "expect": {}});
        for bad in [
            json!({"id": "a", "comment": "", "steps": []}),
            json!({"id": "a", "comment": "", "steps": [{"do": {"op": "x"}}]}),
            json!({"id": "a", "comment": "", "steps": [{"expect": {}}]}),
            json!({"id": "a", "comment": "", "steps": [{"do": {}, "expect": {}}]}),
            json!({"id": "a", "comment": "", "step": [good], "steps": [good]}),
            json!({"id": "a", "comment": 1, "steps": [good]}),
            json!({"id": "a", "comment": "", "flags": [1], "steps": [good]}),
        ] {
            let error = parse(&file(&bad)).unwrap_err();
            assert!(error.starts_with("test 0 (a): "), "{error}");
        }
    }
}
