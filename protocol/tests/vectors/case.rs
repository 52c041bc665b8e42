//! One case of a vector file, and hexadecimal text.

use serde_json::{Map, Value, json};

/// One case: a name, inputs and what is expected.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    name: String,
    values: Map<String, Value>,
    /// Stands in for the main input, where there is one.
    changed: Option<Vec<u8>>,
}

impl Case {
    /// Joins inputs and expectations.
    pub(crate) fn new(name: &str, input: Value, expected: Value) -> Self {
        let mut values = object(input);
        values.extend(object(expected));
        Self { name: name.to_owned(), values, changed: None }
    }

    /// Reads a case of a file.
    pub(crate) fn of_value(value: &Value) -> Self {
        let mut values = object(value.clone());
        let name = values.remove("name").expect("each case has a name");
        Self { name: name.as_str().expect("a name is text").to_owned(), values, changed: None }
    }

    /// The case on one line, its name first.
    pub(crate) fn to_line(&self) -> String {
        let values = Value::Object(self.values.clone()).to_string();
        format!("{{\"name\":{},{}", json!(self.name), &values[1..])
    }

    /// What the case shows.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether there is a value of this name.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// A value that must be there.
    pub(crate) fn get(&self, key: &str) -> &Value {
        self.values.get(key).unwrap_or_else(|| panic!("{}: {key} is missing", self.name))
    }

    /// A text that must be there.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.text_if_any(key).unwrap_or_else(|| panic!("{}: text {key} is missing", self.name))
    }

    /// A text, if there is one.
    pub(crate) fn text_if_any(&self, key: &str) -> Option<&str> {
        self.values.get(key).and_then(Value::as_str)
    }

    /// A number that must be there.
    pub(crate) fn number(&self, key: &str) -> u64 {
        self.number_if_any(key).unwrap_or_else(|| panic!("{}: number {key} is missing", self.name))
    }

    /// A number, if there is one.
    pub(crate) fn number_if_any(&self, key: &str) -> Option<u64> {
        self.values.get(key).and_then(Value::as_u64)
    }

    /// Bytes that another value gives in hexadecimal.
    pub(crate) fn hex(&self, key: &str) -> Vec<u8> {
        unhex(self.text(key))
    }

    /// A list of texts, each parsed.
    pub(crate) fn list<T: std::str::FromStr>(&self, key: &str) -> Vec<T> {
        let parse = |value: &Value| value.as_str().and_then(|text| text.parse().ok());
        let list = self.get(key).as_array().expect("a list");
        list.iter().map(|value| parse(value).expect("a good text in a list")).collect()
    }

    /// The main input.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        if let Some(bytes) = &self.changed {
            return bytes.clone();
        }
        input_of(&self.values)
            .or_else(|| {
                let parts = self.values.get("parts")?.as_array()?;
                Some(parts.iter().flat_map(part_bytes).collect())
            })
            .unwrap_or_else(|| panic!("{}: no input", self.name))
    }

    /// Puts another main input in the place of the case's own.
    pub(crate) fn change(&mut self, bytes: Vec<u8>) {
        self.changed = Some(bytes);
    }

    /// The main input as text.
    pub(crate) fn input_text(&self) -> String {
        String::from_utf8(self.bytes()).expect("this form's inputs are text")
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is not an object"),
    }
}

fn input_of(values: &Map<String, Value>) -> Option<Vec<u8>> {
    let text = |key: &str| values.get(key).and_then(Value::as_str);
    text("hex")
        .map(unhex)
        .or_else(|| text("json").or_else(|| text("text")).map(|text| text.as_bytes().to_vec()))
}

fn part_bytes(part: &Value) -> Vec<u8> {
    let bytes = part.as_object().and_then(input_of).expect("a part has hex or text");
    bytes.repeat(part["times"].as_u64().unwrap_or(1) as usize)
}

/// Hexadecimal text of `bytes`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes of hexadecimal text.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal digits");
    (0..text.len()).step_by(2).map(digit).collect()
}

/// Input of bytes.
pub(crate) fn hex_input(bytes: &[u8]) -> Value {
    json!({ "hex": hex(bytes) })
}

/// Input of JSON text.
pub(crate) fn json_input(text: impl AsRef<[u8]>) -> Value {
    json!({ "json": std::str::from_utf8(text.as_ref()).expect("JSON is UTF-8") })
}

/// Input of text.
pub(crate) fn text_input(text: &str) -> Value {
    json!({ "text": text })
}

/// `input` with further values beside it.
pub(crate) fn with(mut input: Value, more: Value) -> Value {
    let map = input.as_object_mut().expect("an input is an object");
    map.extend(object(more));
    input
}
