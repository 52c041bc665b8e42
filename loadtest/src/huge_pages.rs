//! A heap in huge pages. The state of a large swarm lies over nearly a hundred megabytes and is read all over: with small
//! pages, looking up where a page lies is a fifth of the work.

/// Starts this program again, once, with the C library told to ask for huge pages; it has no other way to be told.
/// Whoever has set the library's tunables already means them, and where it cannot be done all is only slower.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn ask_for() {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    /// Read by glibc from 2.35 on.
    const TUNABLES: &str = "GLIBC_TUNABLES";
    if std::env::var_os(TUNABLES).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    // Comes back only with an error, and then this start goes on.
    let _ = again.args(arguments).env(TUNABLES, "glibc.malloc.hugetlb=1").exec();
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn ask_for() {}
