//! The program `freshet-tracker`, as an operator starts it.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

fn program(folder: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_freshet-tracker"));
    command.args(["--listen", "127.0.0.1:0", "--log", "warn", "--state-dir"]).arg(folder.join("state"));
    command.args(flags).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Waits for the line that says that clients can connect; the address in it.
fn wait_for_start(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    line.trim_end().strip_prefix("tracker on ").expect("the first line names the address").to_owned()
}

#[test]
fn starts_says_where_and_ends_cleanly() {
    for signal in ["-TERM", "-INT"] {
        let folder = folder();
        let ready = folder.path().join("ready.json");
        let mut child = program(folder.path(), &["--ready-file", ready.to_str().expect("UTF-8")])
            .spawn()
            .expect("the program starts");
        // What starts the program may stop listening after the first line.
        let url = wait_for_start(&mut child);
        let json: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&ready).expect("written")).expect("JSON");
        assert_eq!(json["url"], url);
        assert_eq!(json["stun"].as_array().map(Vec::len), Some(2));
        assert!(json["key"].as_str().is_some_and(|key| key.starts_with("ed25519:")));
        let killed =
            Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill runs");
        assert!(killed.success());
        assert_eq!(child.wait().expect("ended").code(), Some(0), "{signal}");
        let mut stderr = String::new();
        child.stderr.take().expect("piped").read_to_string(&mut stderr).expect("UTF-8");
        assert!(stderr.contains("open mode"), "said loudly: {stderr}");
    }
}

#[test]
fn over_tls_it_says_so_and_looks_at_its_certificate_when_asked() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let made = rcgen::generate_simple_self_signed(["tracker".to_owned()]).expect("made");
    std::fs::write(path("cert.pem"), made.cert.pem()).expect("written");
    std::fs::write(path("key.pem"), made.signing_key.serialize_pem()).expect("written");
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    let flags = ["--tls-cert", cert.as_str(), "--tls-key", key.as_str()];
    let mut child = program(folder.path(), &flags).spawn().expect("the program starts");
    let url = wait_for_start(&mut child);
    assert!(url.starts_with("wss://127.0.0.1:"), "{url}");
    std::fs::write(&key, "nonsense").expect("written");
    let id = child.id().to_string();
    let kill = |signal: &str| Command::new("kill").args([signal, id.as_str()]).status().expect("kill runs");
    assert!(kill("-HUP").success());
    let stderr = BufReader::new(child.stderr.take().expect("piped"));
    let told = stderr.lines().map(|line| line.expect("UTF-8")).find(|line| line.contains("certificate"));
    let told = told.expect("the program goes on");
    assert!(
        told.contains("new certificate not taken") && told.contains("key.pem holds no private key"),
        "{told}"
    );
    assert!(kill("-TERM").success());
    assert_eq!(child.wait().expect("ended").code(), Some(0));
}

#[test]
fn bad_input_is_one_sentence() {
    let folder = folder();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = listener.local_addr().expect("bound").to_string();
    std::fs::write(folder.path().join("file"), "").expect("writable");
    let file = folder.path().join("file/state");
    let file = file.to_str().expect("UTF-8");
    let check = |flags: &[&str], code: i32, expected: &str| {
        let Output { status, stderr, .. } = program(folder.path(), flags).output().expect("it ran");
        let stderr = String::from_utf8(stderr).expect("UTF-8");
        assert_eq!(status.code(), Some(code), "{flags:?}: {stderr}");
        assert!(stderr.contains(expected), "{flags:?}: {stderr}");
    };
    check(&["--stun", "127.0.0.1:0"], 2, "--stun is given 1 time(s); give it twice, or not at all");
    check(&["--links-max", "65"], 2, "links_max is 65, but must be within 1 and 64");
    check(&["--announce-ms", "10"], 2, "within");
    check(&["--origin-budget-mbit", "0"], 2, "origin-budget-mbit");
    check(&["--tls-cert", file], 2, "--tls-key <FILE>");
    check(&["--tls-cert", "/nothing.pem", "--tls-key", file], 1, "cannot read /nothing.pem: No such file");
    check(&["--trusted-proxy", "10.1.2.3/8"], 2, "write 10.0.0.0/8, or the address alone");
    check(&["--proxy-header", "forwarded"], 2, "--trusted-proxy <ADDR|CIDR>");
    check(&["--stun-advertise", "3478"], 2, "must be two ports such as 3478,3479");
    check(&["--stun-advertise", "3478,3478"], 2, "must be two different ones");
    check(&["--stun-host", "stun.example:3478"], 2, "must be a host name or an address");
    check(&["--stun-host", "stun.example", "--no-stun"], 2, "--no-stun");
    check(&["--no-such-flag"], 2, "no-such-flag");
    check(&["--stun", &taken, "--stun", "127.0.0.1:0", "--no-stun"], 2, "--no-stun");
    let check_start = |listen: &str, state_dir: &str, expected: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_freshet-tracker"));
        let Output { status, stderr, .. } =
            command.args(["--listen", listen, "--state-dir", state_dir]).output().expect("it ran");
        let stderr = String::from_utf8(stderr).expect("UTF-8");
        assert_eq!(status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(expected) && stderr.lines().count() == 1, "{stderr}");
    };
    let state = folder.path().join("state");
    check_start(&taken, state.to_str().expect("UTF-8"), &format!("cannot listen on {taken} (TCP)"));
    check_start("127.0.0.1:0", file, "cannot create");
}
