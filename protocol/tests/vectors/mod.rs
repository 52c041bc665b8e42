//! The vectors that Rust and TypeScript share, `protocol/vectors/*.json`.
//!
//! The files are the truth: a test builds each anew and refuses a difference, then judges what the file says. Where a
//! change is meant, `FRESHET_WRITE_VECTORS=1 cargo test -p freshet-protocol vectors` writes the files and the fuzz corpus.
//!
//! A case is one object. Its input is `hex`, `json` or `text`, or `parts`, a list of `{hex|text, times}` to be joined;
//! other inputs stand beside it by name. A valid case says `fields`, an invalid one `error` and, where the error is
//! about something, `subject`. What is accepted is written again to the same bytes, unless the case says `lenient`.

mod case;
mod entry_page;
mod envelope;
mod frame;
mod frame_json;
mod introduction;
mod key;
mod key_document;
mod limits;
mod link_target;
mod message;
mod message_faults;
mod mutation;
mod name;
mod pack_index;
mod page;
mod patch;
mod patch_page;
mod path;
mod pointer;
mod proof;
mod rendezvous;
mod root;
mod sealed;
mod segment;
mod shard;
mod ticket;
mod wire;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::corpus;
use crate::faults::Fault;
use case::Case;

/// One vector file: how its cases are made and how they are judged.
pub(crate) struct Form {
    /// Name of the file, without `.json`.
    pub(crate) file: &'static str,
    /// What the file is about.
    pub(crate) what: &'static str,
    /// Adds the cases.
    pub(crate) build: fn(&mut Cases),
    /// Reads a case's input with the code under test.
    pub(crate) judge: fn(&Case) -> Result<Judged, Fault>,
    /// Fuzz target that starts from these inputs, and how it takes one.
    pub(crate) corpus: Option<(&'static str, Seed)>,
}

/// What a fuzz target takes for a case.
pub(crate) type Seed = fn(&Case) -> Vec<u8>;

/// What the code under test made of an input.
pub(crate) struct Judged {
    /// The value.
    pub(crate) fields: Value,
    /// The value written again, where there is a writer for it.
    pub(crate) again: Option<Vec<u8>>,
}

impl Judged {
    /// A value that can only be read.
    pub(crate) fn read(fields: Value) -> Self {
        Self { fields, again: None }
    }

    /// A value and its bytes.
    pub(crate) fn written(fields: Value, again: impl Into<Vec<u8>>) -> Self {
        Self { fields, again: Some(again.into()) }
    }
}

/// Collects the cases of a file.
#[derive(Default)]
pub(crate) struct Cases {
    valid: Vec<Case>,
    invalid: Vec<Case>,
}

impl Cases {
    /// Adds an input that is accepted as `fields`.
    pub(crate) fn valid(&mut self, name: &str, input: Value, fields: Value) {
        self.valid.push(Case::new(name, input, json!({ "fields": fields })));
    }

    /// Adds an input that is accepted as `fields`, which would be written otherwise.
    pub(crate) fn lenient(&mut self, name: &str, input: Value, fields: Value) {
        self.valid.push(Case::new(name, input, json!({ "fields": fields, "lenient": true })));
    }

    /// Adds an input that is refused.
    pub(crate) fn invalid(&mut self, name: &str, input: Value, fault: Fault) {
        let mut expected = json!({ "error": fault.error });
        if let Some(subject) = fault.subject {
            expected["subject"] = subject.into();
        }
        self.invalid.push(Case::new(name, input, expected));
    }

    /// The inputs that are accepted, for forms that start from another's.
    pub(crate) fn into_valid(self) -> Vec<Case> {
        self.valid
    }

    fn to_text(&self, what: &str) -> String {
        let list = |cases: &[Case]| cases.iter().map(Case::to_line).collect::<Vec<_>>().join(",\n");
        format!(
            "{{\n\"what\": {},\n\"valid\": [\n{}\n],\n\"invalid\": [\n{}\n]\n}}\n",
            json!(what),
            list(&self.valid),
            list(&self.invalid),
        )
    }
}

/// Path of a vector file.
pub(crate) fn vector_path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(format!("{file}.json"))
}

/// Compares `built` with the checked-in file, or writes it where the environment asks for that.
pub(crate) fn keep(file: &str, built: &str) -> Value {
    let path = vector_path(file);
    if is_writing() {
        fs::write(&path, built).expect("the vectors folder can be written");
    }
    let text = fs::read_to_string(&path).expect("the vector file is there");
    let kept: Value = serde_json::from_str(&text).expect("the vector file is JSON");
    let built: Value = serde_json::from_str(built).expect("built as JSON");
    assert!(
        built == kept,
        "{file}.json differs from what this test builds; where that is meant: \
         FRESHET_WRITE_VECTORS=1 cargo test -p freshet-protocol vectors"
    );
    kept
}

fn is_writing() -> bool {
    std::env::var_os("FRESHET_WRITE_VECTORS").is_some_and(|value| value == "1")
}

fn check(form: &Form) {
    let mut cases = Cases::default();
    (form.build)(&mut cases);
    let kept = keep(form.file, &cases.to_text(form.what));
    if let (true, Some((target, seed))) = (is_writing(), form.corpus) {
        write_corpus(form.file, target, seed, &cases);
    }
    let list = |name: &str| -> Vec<Case> {
        kept[name].as_array().expect("a list").iter().map(Case::of_value).collect()
    };
    let (valid, invalid) = (list("valid"), list("invalid"));
    assert!(invalid.len() >= valid.len(), "{}: {} valid, {} invalid", form.file, valid.len(), invalid.len());
    let names: BTreeSet<_> = valid.iter().chain(&invalid).map(Case::name).collect();
    assert_eq!(names.len(), valid.len() + invalid.len(), "{}: each case has a name of its own", form.file);
    valid.iter().for_each(|case| check_valid(form, case));
    invalid.iter().for_each(|case| check_invalid(form, case));
}

fn check_valid(form: &Form, case: &Case) {
    let name = case.name();
    let judged = (form.judge)(case).unwrap_or_else(|fault| panic!("{}: {name}: {fault:?}", form.file));
    assert_eq!(&judged.fields, case.get("fields"), "{}: {name}", form.file);
    if let Some(again) = judged.again {
        let is_same = again == case.bytes();
        assert_eq!(is_same, !case.has("lenient"), "{}: {name}: written again as {again:02x?}", form.file);
    }
}

fn check_invalid(form: &Form, case: &Case) {
    let name = case.name();
    let fault = (form.judge)(case).map(|judged| judged.fields).expect_err(name);
    assert_eq!(fault.error, case.text("error"), "{}: {name}", form.file);
    assert_eq!(fault.subject.as_deref(), case.text_if_any("subject"), "{}: {name}", form.file);
}

/// Largest input that becomes a corpus file, in bytes; what reaches the large limits would only slow a fuzzer down.
const CORPUS_FILE_BYTES_MAX: usize = 4 << 10;

fn write_corpus(file: &str, target: &str, seed: Seed, cases: &Cases) {
    let folder = corpus::folder(target);
    fs::create_dir_all(&folder).expect("the corpus folder can be made");
    for case in cases.valid.iter().chain(&cases.invalid) {
        let bytes = seed(case);
        if bytes.len() <= CORPUS_FILE_BYTES_MAX {
            let slug: String =
                case.name().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
            fs::write(folder.join(format!("{file}-{slug}")), bytes).expect("the corpus can be written");
        }
    }
}

macro_rules! forms {
    ($($test:ident => $form:expr,)*) => {$(
        #[test]
        fn $test() {
            check(&$form);
        }
    )*};
}

forms! {
    varints => wire::FORM,
    hashes => name::HASHES,
    names => name::NAMES,
    keys => key::FORM,
    envelopes => envelope::FORM,
    roots => root::FORM,
    pages => page::FORM,
    patches => patch::FORM,
    patch_pages => patch_page::FORM,
    pointers => pointer::FORM,
    key_documents => key_document::FORM,
    tickets => ticket::FORM,
    segments => segment::FORM,
    entry_pages => entry_page::FORM,
    proofs => proof::FORM,
    pack_indexes => pack_index::FORM,
    frames => frame::FORM,
    introduction_frames => introduction::FRAMES,
    introductions => introduction::FORM,
    client_messages => message::CLIENT,
    server_messages => message::SERVER,
    shards => shard::FORM,
    paths => path::FORM,
    link_targets => link_target::FORM,
    sealed_roots => sealed::ROOTS,
    sealed_pointers => sealed::POINTERS,
    sealed_chunks => sealed::CHUNKS,
    sealed_heads => sealed::HEADS,
}
