//! How many files, and so connections, a program may have open.

/// Lets this program have as many open as the system allows it: shells start programs with 1024 of some hundred thousand. How
/// many that is now, where the system has such a limit and tells.
pub fn raise_open_files() -> Option<u64> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        // Who may not has what there was before.
        let _ = setrlimit(Resource::Nofile, limit);
        getrlimit(Resource::Nofile).current
    }
    #[cfg(not(unix))]
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use rustix::process::{Resource, getrlimit};

    #[test]
    fn nothing_less_than_the_most_stays() {
        assert_eq!(raise_open_files(), getrlimit(Resource::Nofile).maximum);
    }
}
