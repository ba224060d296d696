//! The types have each ending of the schema, and read what a later version adds.

use serde_json::{Value, json};
use wave_client::{Ending, Outcome};

/// An object that a schema describes: each field with the least value of its type.
fn least(schema: &Value) -> Value {
    if let Some(word) = schema.get("const") {
        return word.clone();
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    match kind {
        Some("string") => json!(""),
        Some("integer") => json!(0),
        Some("boolean") => json!(false),
        Some("array") => json!([least(&schema["items"])]),
        Some("object") => {
            let fields = schema["properties"].as_object().into_iter().flatten();
            fields.map(|(name, schema)| (name.clone(), least(schema))).collect::<serde_json::Map<_, _>>().into()
        }
        _ => panic!("{schema}"),
    }
}

/// The least document, with each ending in turn.
fn documents() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/outcome.schema.json");
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).expect("the schema")).expect("JSON");
    let endings = schema["properties"]["ending"]["oneOf"].as_array().expect("alternatives").clone();
    let with = |ending: &Value| {
        let mut schema = schema.clone();
        schema["properties"]["ending"] = ending.clone();
        let mut document = least(&schema);
        document["sandbox"] = Value::Null;
        document
    };
    endings.iter().map(with).collect()
}

#[test]
fn each_ending_of_the_schema_has_a_type() {
    let documents = documents();
    assert_eq!(documents.len(), 12);
    for document in documents {
        let outcome: Outcome = document.to_string().parse().unwrap_or_else(|error| panic!("{error}: {document}"));
        let name = format!("{:?}", outcome.ending).to_lowercase();
        let kind = document["ending"]["kind"].as_str().expect("a kind").replace('_', "");
        assert!(name.starts_with(&kind), "{kind}: {name}");
    }
}

#[test]
fn what_a_later_version_adds_is_read() {
    let mut document = documents().swap_remove(0);
    document["new"] = json!({"a": 1});
    document["ending"]["new"] = json!(1);
    document["time"]["new"] = json!(1);
    let outcome: Outcome = document.to_string().parse().expect("fields that are added change nothing");
    assert!(outcome.success());
    document["ending"] = json!({"kind": "vanished", "where": "?"});
    let outcome: Outcome = document.to_string().parse().expect("an ending that is added is another one");
    assert_eq!((&outcome.ending, outcome.success()), (&Ending::Other, false));
}

#[test]
fn another_schema_and_damage_are_errors() {
    let document = documents().swap_remove(0);
    let mut other = document.clone();
    other["schema_version"] = json!(2);
    let error = other.to_string().parse::<Outcome>().expect_err("it may mean something else");
    assert_eq!(error.to_string(), "cannot read the outcome: it has schema version 2, not 1");
    let text = document.to_string();
    assert!(text.parse::<Outcome>().is_ok());
    assert!(text[..text.len() - 1].parse::<Outcome>().is_err());
    for field in ["exit_code", "ending", "time"] {
        let mut without = document.clone();
        without.as_object_mut().expect("an object").remove(field);
        assert!(without.to_string().parse::<Outcome>().is_err(), "{field}");
    }
}
