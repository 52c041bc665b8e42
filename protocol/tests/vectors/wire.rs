//! Integers on the wire. The first examples are those of RFC 9000, A.1.

use freshet_protocol::{Reader, put_varint};
use serde_json::json;

use super::case::{Case, hex_input};
use super::{Cases, Form, Judged};
use crate::faults::{Fault, fault};

pub(super) const FORM: Form = Form {
    file: "varint",
    what: "integers on the wire: RFC 9000, 16, shortest form, at most 2^53-1",
    build,
    judge,
    corpus: None,
};

fn judge(case: &Case) -> Result<Judged, Fault> {
    let bytes = case.bytes();
    let mut reader = Reader::new(&bytes);
    let value = reader.varint()?;
    reader.finish()?;
    let mut again = Vec::new();
    put_varint(&mut again, value);
    Ok(Judged::written(json!({ "value": value }), again))
}

fn build(cases: &mut Cases) {
    let mut valid = |name: &str, bytes: &[u8], value: u64| {
        cases.valid(name, hex_input(bytes), json!({ "value": value }));
    };
    valid("RFC 9000 A.1, four bytes", &[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333);
    valid("RFC 9000 A.1, two bytes", &[0x7b, 0xbd], 15_293);
    valid("RFC 9000 A.1, one byte", &[0x25], 37);
    valid("zero", &[0], 0);
    valid("largest of one byte", &[0x3f], 63);
    valid("smallest of two bytes", &[0x40, 0x40], 64);
    valid("largest of two bytes", &[0x7f, 0xff], 16_383);
    valid("smallest of four bytes", &[0x80, 0, 0x40, 0], 16_384);
    valid("largest of four bytes", &[0xbf, 0xff, 0xff, 0xff], 0x3fff_ffff);
    valid("smallest of eight bytes", &[0xc0, 0, 0, 0, 0x40, 0, 0, 0], 0x4000_0000);
    valid("beyond 32 bits", &[0xc0, 0, 0, 1, 0, 0, 0, 0], 1 << 32);
    valid("2^53-1", &[0xc0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], (1 << 53) - 1);

    let mut invalid = |name: &str, bytes: &[u8], error| cases.invalid(name, hex_input(bytes), fault(error));
    invalid("nothing", &[], "truncated");
    invalid("one byte of two", &[0x7b], "truncated");
    invalid("three bytes of four", &[0x9d, 0x7f, 0x3e], "truncated");
    invalid("seven bytes of eight", &[0xc0, 0, 0, 0, 0x40, 0, 0], "truncated");
    invalid(
        "RFC 9000 A.1, eight bytes, beyond our limit",
        &[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c],
        "integer-too-large",
    );
    invalid("2^53", &[0xc0, 0x20, 0, 0, 0, 0, 0, 0], "integer-too-large");
    invalid("2^53+1, which a double cannot hold", &[0xc0, 0x20, 0, 0, 0, 0, 0, 1], "integer-too-large");
    invalid("2^62-1", &[0xff; 8], "integer-too-large");
    invalid("RFC 9000 A.1, 37 in two bytes", &[0x40, 0x25], "integer-not-shortest");
    invalid("16383 in four bytes", &[0x80, 0, 0x3f, 0xff], "integer-not-shortest");
    invalid("2^30-1 in eight bytes", &[0xc0, 0, 0, 0, 0x3f, 0xff, 0xff, 0xff], "integer-not-shortest");
    invalid("zero in eight bytes", &[0xc0, 0, 0, 0, 0, 0, 0, 0], "integer-not-shortest");
    invalid("a second value", &[0, 0], "trailing");
}
