//! Targets of symbolic links.

use freshet_protocol::{RelPath, check_link_target};
use serde_json::json;

use super::case::{Case, text_input, with};
use super::{Cases, Form, Judged};
use crate::faults::{Fault, fault};

pub(super) const FORM: Form = Form {
    file: "link_target",
    what: "targets of symbolic links (text) at the path link",
    build,
    judge,
    corpus: Some(("path", |case| format!("{}\n{}", case.text("link"), case.text("text")).into_bytes())),
};

fn judge(case: &Case) -> Result<Judged, Fault> {
    let link: RelPath = case.text("link").parse()?;
    check_link_target(&link, case.text("text"))?;
    Ok(Judged::read(json!({})))
}

fn build(cases: &mut Cases) {
    let input = |link: &str, target: &str| with(text_input(target), json!({ "link": link }));
    let mut valid = |name: &str, link: &str, target: &str| cases.valid(name, input(link, target), json!({}));
    valid("a neighbour", "lib/libx.so", "libx.so.1");
    valid("another folder", "lib/libx.so", "../bin/x");
    valid("its own folder", "x", ".");
    valid("down and up again", "x", "a/../b");
    valid("empty parts and dots", "lib/x", ".//./y");
    valid("the release's own folder", "a/b/c", "../..");
    valid("beyond ASCII", "x", "한국어/모험");
    valid("1024 bytes", "x", &vec!["x".repeat(204); 5].join("/"));

    let mut invalid =
        |name: &str, link: &str, target: &str, error| cases.invalid(name, input(link, target), fault(error));
    invalid("nothing", "x", "", "empty");
    invalid("absolute", "x", "/etc", "absolute");
    invalid("above the folder", "x", "..", "escapes");
    invalid("above the folder from below", "lib/libx.so", "../../x", "escapes");
    invalid("above the folder in between", "x", "a/../../b", "escapes");
    invalid("above the folder and back", "x", "../x", "escapes");
    invalid("a backslash", "x", "a\\..\\..", "character");
    invalid("a drive", "x", "C:", "character");
    invalid("a control character", "x", "a\nb", "character");
    invalid("a device", "x", "nul", "reserved");
    invalid("a part that ends in a dot", "x", "a./b", "ending");
    invalid("three dots", "x", ".../b", "ending");
    invalid("1029 bytes", "x", &vec!["x".repeat(205); 5].join("/"), "too-long");
    invalid("256 bytes in a part", "x", &"x".repeat(256), "too-long");
}
