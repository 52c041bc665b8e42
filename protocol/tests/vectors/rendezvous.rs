//! `rendezvous.json`: in which order peers of a content try trackers.

use freshet_protocol::{ContentName, rendezvous_order};
use serde_json::{Value, json};

use super::keep;

#[test]
fn rendezvous() {
    let case = |content: &str, trackers: &[&str]| -> Value {
        let content: ContentName = content.parse().expect("name");
        let trackers: Vec<String> = trackers.iter().map(|&tracker| tracker.to_owned()).collect();
        json!({ "content": content, "order": rendezvous_order(&content, &trackers), "trackers": trackers })
    };
    let three = ["wss://one.example/", "wss://two.example/", "wss://three.example/"];
    let cases = [
        case("game/demo", &[]),
        case("game/demo", &three[..1]),
        case("game/demo", &three),
        case("game/other", &three),
        case("site/show", &three),
        case("site/show", &["wss://one.example/", "wss://two.example/", "wss://one.example/"]),
        case("site/show/2", &["ws://[2001:db8::1]:7070/", "ws://192.0.2.1:7070/tracker"]),
    ];
    let lines: Vec<String> = cases.iter().map(Value::to_string).collect();
    let what = "the order in which peers of a content try trackers";
    let built = format!("{{\n\"what\": {},\n\"cases\": [\n{}\n]\n}}\n", json!(what), lines.join(",\n"));
    let kept = keep("rendezvous", &built);
    for case in kept["cases"].as_array().expect("a list") {
        let content = case["content"].as_str().and_then(|text| text.parse().ok()).expect("a content");
        let texts = |name: &str| -> Vec<String> {
            let list = case[name].as_array().expect("a list");
            list.iter().map(|text| text.as_str().expect("a text").to_owned()).collect()
        };
        assert_eq!(rendezvous_order(&content, &texts("trackers")), texts("order"));
    }
}
