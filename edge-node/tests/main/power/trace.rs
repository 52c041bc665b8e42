//! What a program does to one folder, from the calls that strace sees.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The calls that change a file system, and those that make changes last.
const CALLS: &str = "creat,openat,write,writev,pwrite64,pwritev,rename,renameat,renameat2,link,linkat,unlink,unlinkat,\
                     rmdir,mkdir,mkdirat,symlink,symlinkat,truncate,ftruncate,fallocate,copy_file_range,sendfile,ioctl,\
                     chmod,fchmod,fchmodat,fsync,fdatasync,sync,syncfs";

/// One change, or one wait until changes have come to the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Call {
    Create {
        path: PathBuf,
        truncates: bool,
    },
    Write {
        path: PathBuf,
        at: Option<u64>,
        bytes: Vec<u8>,
    },
    Resize {
        path: PathBuf,
        bytes: u64,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    /// Of a file, a link or an empty folder.
    Remove {
        path: PathBuf,
    },
    MakeFolder {
        path: PathBuf,
    },
    MakeLink {
        path: PathBuf,
        target: PathBuf,
    },
    SetMode {
        path: PathBuf,
        mode: u32,
    },
    Sync {
        path: PathBuf,
    },
    SyncAll,
}

/// The command under strace, which writes to `log`.
pub(super) fn traced(command: &Command, log: &Path) -> Command {
    let mut traced = Command::new("strace");
    traced.args(["-f", "-y", "-xx", "-s", "16777216", "-e", &format!("trace={CALLS}"), "-e", "signal=none"]);
    traced.arg("-o").arg(log).arg(command.get_program()).args(command.get_args());
    traced
}

/// What was done below `folder`, in the order in which it was done.
pub(super) fn read(log: &Path, folder: &Path) -> Vec<Call> {
    let text = std::fs::read_to_string(log).expect("strace writes its log");
    let mut begun: HashMap<&str, &str> = HashMap::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let (thread, rest) = line.split_once(' ').expect("a thread's number");
        let rest = rest.trim_start();
        if let Some(part) = rest.strip_suffix(" <unfinished ...>") {
            begun.insert(thread, part);
            continue;
        }
        let joined = match rest.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
            Some((_, end)) => format!("{}{end}", begun.remove(thread).expect("it was begun")),
            None => rest.to_owned(),
        };
        calls.extend(parse(&joined).filter(|call| concerns(call, folder)));
    }
    calls
}

fn concerns(call: &Call, folder: &Path) -> bool {
    match call {
        Call::SyncAll => true,
        Call::Create { path, .. }
        | Call::Write { path, .. }
        | Call::Resize { path, .. }
        | Call::Remove { path }
        | Call::MakeFolder { path }
        | Call::MakeLink { path, .. }
        | Call::SetMode { path, .. }
        | Call::Sync { path } => path.starts_with(folder),
        Call::Rename { from, to } => from.starts_with(folder) || to.starts_with(folder),
    }
}

/// One line, as in `12 rename("\x61", "\x62") = 0`; none where it failed, or changed nothing.
fn parse(line: &str) -> Option<Call> {
    let (name, rest) = line.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(") ").or_else(|| rest.rsplit_once(')'))?;
    let result = result.trim_start().strip_prefix("= ")?;
    if result.starts_with('-') || result.starts_with('?') {
        return None;
    }
    let arguments: Vec<&str> = arguments.split(", ").collect();
    let text = |at: usize| text(arguments[at]);
    let number = |at: usize| arguments[at].parse::<u64>().expect("a number");
    let call = match name {
        "openat" => {
            let is_new = arguments[2].contains("O_CREAT");
            let truncates = arguments[2].contains("O_TRUNC");
            if !is_new && !truncates {
                return None;
            }
            Call::Create { path: open_file(result), truncates }
        }
        "write" => {
            // What goes to standard output, or to a socket, has a path that is none.
            let taken = result.parse::<usize>().expect("a number of bytes");
            Call::Write {
                path: open_file(arguments[0]),
                at: None,
                bytes: bytes(arguments[1])[..taken].to_vec(),
            }
        }
        "pwrite64" => {
            let taken = result.parse::<usize>().expect("a number of bytes");
            let bytes = bytes(arguments[1])[..taken].to_vec();
            Call::Write { path: open_file(arguments[0]), at: Some(number(3)), bytes }
        }
        "ftruncate" => Call::Resize { path: open_file(arguments[0]), bytes: number(1) },
        "rename" => Call::Rename { from: text(0), to: text(1) },
        "renameat" | "renameat2" => Call::Rename { from: at(&arguments, 0), to: at(&arguments, 2) },
        "unlink" | "rmdir" => Call::Remove { path: text(0) },
        "unlinkat" => Call::Remove { path: at(&arguments, 0) },
        "mkdir" => Call::MakeFolder { path: text(0) },
        "mkdirat" => Call::MakeFolder { path: at(&arguments, 0) },
        "symlink" => Call::MakeLink { path: text(1), target: text(0) },
        "symlinkat" => Call::MakeLink { path: at(&arguments, 1), target: text(0) },
        "chmod" => Call::SetMode { path: text(0), mode: octal(arguments[1]) },
        "fchmod" => Call::SetMode { path: open_file(arguments[0]), mode: octal(arguments[1]) },
        "fchmodat" => Call::SetMode { path: at(&arguments, 0), mode: octal(arguments[2]) },
        "fsync" | "fdatasync" => Call::Sync { path: open_file(arguments[0]) },
        "sync" | "syncfs" => Call::SyncAll,
        "ioctl" if !line.contains("FICLONE") => return None,
        "writev" if !open_file(arguments[0]).is_absolute() => return None,
        other => panic!("the model does not know {other}: {}", &line[..line.len().min(300)]),
    };
    Some(call)
}

/// A path that is given relative to an open folder.
fn at(arguments: &[&str], first: usize) -> PathBuf {
    open_file(arguments[first]).join(text(arguments[first + 1]))
}

/// `"\x61"` as a path.
fn text(argument: &str) -> PathBuf {
    path(bytes(argument))
}

/// The path of `5<\x61>`.
fn open_file(argument: &str) -> PathBuf {
    let inner = argument.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    path(unescape(inner.expect("strace -y names open files").0))
}

fn path(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(String::from_utf8(bytes).expect("paths of the test are UTF-8"))
}

fn bytes(argument: &str) -> Vec<u8> {
    assert!(!argument.ends_with("..."), "strace has cut {argument}");
    unescape(argument.trim_matches('"'))
}

/// `\x61\x62`; what has no escapes is no path, as `socket:[1]` is.
fn unescape(text: &str) -> Vec<u8> {
    let mut parts = text.split("\\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    bytes.extend(parts.map(|digits| u8::from_str_radix(digits, 16).expect("two digits")));
    bytes
}

fn octal(argument: &str) -> u32 {
    u32::from_str_radix(argument, 8).expect("a mode")
}
