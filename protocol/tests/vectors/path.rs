//! Paths inside a release.

use freshet_protocol::RelPath;
use serde_json::{Value, json};

use super::case::{Case, text_input};
use super::{Cases, Form, Judged};
use crate::faults::{Fault, fault};

pub(super) const FORM: Form = Form {
    file: "path",
    what: "paths inside a release; folded is the form in which paths meet that differ in letter case alone",
    build,
    judge,
    corpus: Some(("path", Case::bytes)),
};

fn judge(case: &Case) -> Result<Judged, Fault> {
    let path: RelPath = case.input_text().parse()?;
    let fields = json!({ "parents": path.parents().collect::<Vec<_>>(), "folded": path.folded() });
    Ok(Judged::written(fields, path.to_string()))
}

fn build(cases: &mut Cases) {
    let mut valid = |text: &str, parents: &[&str], folded: &str| {
        let name = format!("good: {}", text.chars().take(40).collect::<String>());
        cases.valid(&name, text_input(text), json!({ "parents": parents, "folded": folded }));
    };
    valid("a", &[], "a");
    valid("Data/Maps/README.txt", &["Data", "Data/Maps"], "data/maps/readme.txt");
    valid("data/한국어/모험.pak", &["data", "data/한국어"], "data/한국어/모험.pak");
    valid(".gitignore", &[], ".gitignore");
    valid("...a", &[], "...a");
    valid("console.txt", &[], "console.txt");
    valid("com10", &[], "com10");
    valid("lpt", &[], "lpt");
    valid("nul-file", &[], "nul-file");
    valid("a b/c.d", &["a b"], "a b/c.d");
    valid(" leading", &[], " leading");
    valid("ÄÖ/straße", &["ÄÖ"], "äö/strasse");
    valid("ΣΟΦΟΣ", &[], "σοφοσ");
    valid("İstanbul", &[], "i\u{307}stanbul");
    valid("ﬃ", &[], "ffi");
    valid("😀", &[], "😀");
    valid("e\u{301}", &[], "e\u{301}");
    valid("100%", &[], "100%");
    valid("~", &[], "~");

    let long = |count: usize| json!({ "parts": [{ "text": "x", "times": count }] });
    cases.valid("255 bytes in a part", long(255), json!({ "parents": [], "folded": "x".repeat(255) }));
    let five = |each: usize| vec!["x".repeat(each); 5].join("/");
    let parents: Vec<String> = (1..5).map(|n| vec!["x".repeat(204); n].join("/")).collect();
    cases.valid("1024 bytes", text_input(&five(204)), json!({ "parents": parents, "folded": five(204) }));

    let mut invalid = |name: &str, input: Value, error| cases.invalid(name, input, fault(error));
    invalid("256 bytes in a part", long(256), "too-long");
    invalid("86 characters of 258 bytes in a part", text_input(&"한".repeat(86)), "too-long");
    invalid("1029 bytes", text_input(&five(205)), "too-long");
    build_refused(cases);
}

fn build_refused(cases: &mut Cases) {
    let mut refuse = |error: &'static str, texts: &[&str]| {
        for text in texts {
            cases.invalid(&format!("{error}: {}", text.escape_debug()), text_input(text), fault(error));
        }
    };
    refuse("empty", &["", "a//b", "a/"]);
    refuse("absolute", &["/", "/etc/passwd", "//server/share"]);
    refuse("dots", &[".", "..", "../up", "a/../../b", "./a", "a/."]);
    refuse(
        "character",
        &[
            "C:/windows",
            "C:",
            "a\\b",
            "..\\up",
            "a\0b",
            "a\nb",
            "a\u{7f}",
            "a\u{85}b",
            "what?",
            "a*",
            "<a>",
            "\"a\"",
            "a|b",
            "a:stream",
        ],
    );
    refuse(
        "reserved",
        &[
            "NUL",
            "nul",
            "a/com1.txt",
            "a/lpt9",
            "aux .h",
            "CON",
            "prn.tar.gz",
            "CONIN$",
            "conout$.x",
            "COM0",
            "com¹",
            "LPT³.log",
        ],
    );
    refuse("ending", &["name.", "name ", "a./b", "a /b", "...", "nul."]);
}
