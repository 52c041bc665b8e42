//! The C border from its other side: the checked-in header, and programs in C and C++ that are built and run.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use freshet_origin::{ChannelOptions, Keys, PublishOptions, ServeOptions, Serving, Store, publish, serve};
use tempfile::TempDir;

fn crate_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where cargo has put the library: beside this test.
fn library_dir() -> PathBuf {
    let own = std::env::current_exe().expect("this program");
    own.parent().expect("a folder").to_owned()
}

#[test]
fn the_header_is_that_of_the_code() {
    let config = cbindgen::Config::from_file(crate_dir().join("cbindgen.toml")).expect("a configuration");
    let mut builder = cbindgen::Builder::new().with_config(config);
    for name in ["error", "strings", "event", "options", "job", "steer", "care"] {
        builder = builder.with_src(crate_dir().join(format!("src/{name}.rs")));
    }
    let mut made = Vec::new();
    builder.generate().expect("a header").write(&mut made);
    let path = crate_dir().join("include/freshet.h");
    if std::env::var_os("FRESHET_WRITE_HEADER").is_some() {
        std::fs::write(&path, &made).expect("written");
    }
    let checked_in = std::fs::read(&path).unwrap_or_default();
    assert!(
        made == checked_in,
        "run FRESHET_WRITE_HEADER=1 cargo test -p freshet-c-api, and look at what changed"
    );
}

/// A release at an origin, and room for what is built and installed.
struct Site {
    folder: TempDir,
    key: String,
    origin: Serving,
}

impl Site {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let at = |name: &str| folder.path().join(name);
        let keys = Keys::create(&at("keys"), "game").expect("keys");
        std::fs::create_dir(at("build")).expect("made");
        let bytes: Vec<u8> =
            (0..4_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        std::fs::write(at("build/data.pak"), &bytes[..6_000_000]).expect("written");
        std::fs::write(at("build/읽어 보기.txt"), "안녕\n").expect("written");
        let store = Store::open(at("store").to_str().expect("text")).expect("store");
        let key = keys.public().to_string();
        let channel = ChannelOptions::new(store.clone(), keys, "game/demo".parse().expect("name"));
        let release = PublishOptions::new(channel, at("build"), "1.0".parse().expect("name"));
        publish(release).await.expect("published");
        let origin = serve(ServeOptions::new(store, "127.0.0.1:0".parse().expect("address"))).await;
        Self { folder, key, origin: origin.expect("served") }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn url(&self) -> String {
        format!("{}game/demo/channels/live", self.origin.url())
    }

    /// Builds a program against the header and the library.
    fn compile(&self, compiler: &str, arguments: &[&str], source: &str) -> PathBuf {
        let program = self.at("program");
        let library = library_dir();
        let mut command = Command::new(compiler);
        command.args(arguments).args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"]);
        command.arg(crate_dir().join("include")).arg(crate_dir().join(source)).arg("-o").arg(&program);
        command.arg("-L").arg(&library).arg(format!("-Wl,-rpath,{}", library.display()));
        let output = command.args(["-lfreshet", "-lpthread"]).output().expect(compiler);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        program
    }

    async fn run(&self, program: PathBuf, folder: &str) -> Output {
        let mut command = Command::new(program);
        command.arg(self.url()).arg(&self.key).arg(self.at(folder));
        let output = tokio::task::spawn_blocking(move || command.output()).await;
        output.expect("no panic").expect("run")
    }
}

fn assert_installed(site: &Site, folder: &str, output: &Output) {
    assert!(output.status.success(), "{output:?}");
    for name in ["data.pak", "읽어 보기.txt"] {
        let installed = std::fs::read(site.at(folder).join(name)).expect(name);
        assert!(installed == std::fs::read(site.at("build").join(name)).expect(name), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_in_c() {
    let site = Site::new().await;
    let program = site.compile("cc", &["-std=c99"], "examples/get.c");
    let output = site.run(program.clone(), "설치").await;
    assert_installed(&site, "설치", &output);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("version 1.0") && text.contains("installed"), "{text}");
    let wrong = Command::new(program).args(["nonsense", "x", "y"]).output().expect("run");
    assert_eq!(wrong.status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_in_cpp() {
    let site = Site::new().await;
    let program = site.compile("c++", &["-std=c++17"], "examples/launcher.cpp");
    let output = site.run(program, "game").await;
    assert_installed(&site, "game", &output);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("is installed"), "{text}");
}

/// Mono's, where it is installed: nothing else here runs C#.
#[tokio::test(flavor = "multi_thread")]
async fn the_example_in_c_sharp() {
    let site = Site::new().await;
    let program = site.at("get.exe");
    let mut compiler = Command::new("mcs");
    compiler.arg("-warnaserror").arg(format!("-out:{}", program.display()));
    compiler.args(["examples/Get.cs", "unity/Freshet.cs"].map(|source| crate_dir().join(source)));
    let Ok(compiled) = compiler.output() else {
        assert!(std::env::var_os("CI").is_none(), "NOT RUN: needs mcs");
        return eprintln!("NOT RUN: needs mcs");
    };
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let mut command = Command::new("mono");
    command.arg(&program).arg(site.url()).arg(&site.key).arg(site.at("설치"));
    command.env("LD_LIBRARY_PATH", library_dir());
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let output = output.expect("no panic").expect("run");
    assert_installed(&site, "설치", &output);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("version 1.0") && text.contains("\"installed\":true"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_function_from_c() {
    let site = Site::new().await;
    let program = site.compile("cc", &["-std=c11", "-D_POSIX_C_SOURCE=200809L"], "tests/exercise.c");
    let output = site.run(program, "game").await;
    assert!(output.status.success(), "{output:?}");
    assert!(!site.at("game").join("data.pak").exists(), "uninstalled at the end");
}
