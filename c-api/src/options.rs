//! What a job is to do.

use std::ffi::{c_char, c_void};
use std::mem::{offset_of, size_of};
use std::time::Duration;

use freshet_edge_node::{GetOptions, Goal, Policy, SeedFor, check_download_rate};

use crate::error::{FRESHET_OK, Failure, guard};
use crate::event::FreshetEventCallback;
use crate::strings;

/// Largest struct that a newer header may have.
const SIZE_MAX: usize = 64 << 10;

/// What a job does.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(non_camel_case_types)]
pub enum FreshetMode {
    /// Gets or updates a release in a folder, and ends.
    FRESHET_GET = 0,
    /// Keeps a folder at what a channel shows, until stopped.
    FRESHET_FOLLOW = 1,
    /// Hashes what is installed, and gets what is not as it must be. The version stays.
    FRESHET_REPAIR = 2,
}

/// What a job optimises for.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(non_camel_case_types)]
pub enum FreshetGoal {
    /// Never slower than HTTP alone.
    FRESHET_SPEED = 0,
    /// As few bytes from the origin as the publisher's slack allows.
    FRESHET_OFFLOAD = 1,
}

/// What a job is to do. Filled in by freshet_options_init; `url`, `folder` and, at the first use of a folder, `key` are to be
/// set.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct FreshetOptions {
    /// Size of this struct, as freshet_options_init was told.
    pub size: u32,
    /// A FreshetMode.
    pub mode: i32,
    /// A channel (https://host/game/demo/channels/live) or a root (https://host/game/demo/roots/HASH).
    pub url: *const c_char,
    /// The installation folder; made if missing.
    pub folder: *const c_char,
    /// The tenant's public key, ed25519:...; remembered in the folder.
    pub key: *const c_char,
    /// Parts to install, as `freshet-node get --parts`. NULL: what is installed stays so.
    pub parts: *const c_char,
    /// Trackers instead of those that the channel names: addresses, ws:// or wss://, with spaces between them.
    pub trackers: *const c_char,
    /// Folder for the node's identity. NULL: a new one each time.
    pub state_folder: *const c_char,
    /// UDP address to accept links at. NULL: `[::]:0`, any port, IPv6 and IPv4.
    pub listen: *const c_char,
    /// Hours of the day at which something may be done, like 02:00-08:00 by the local clock. NULL: all.
    pub hours: *const c_char,
    /// Most bytes a second to fetch, from all together, at least 64000. 0: no bound.
    pub download_rate: u64,
    /// Most bytes a second to hand out. 0: no bound.
    pub upload_rate: u64,
    /// Most bytes to hand out in all. 0: no bound.
    pub upload_bytes: u64,
    /// How long to share after the install, in milliseconds. UINT64_MAX: until stopped.
    pub seed_ms: u64,
    /// How often, about, FRESHET_FOLLOW asks the origin what the channel shows, in milliseconds, from 1000. 0: never.
    pub look_every_ms: u64,
    /// After how long without anything from anyone a job ends whose origin fails, in milliseconds; ten times as long where the
    /// origin takes requests and is silent, as in a crowd.
    pub give_up_after_ms: u64,
    /// Is called with what happens. May be NULL.
    pub on_event: FreshetEventCallback,
    /// Is passed to `on_event`.
    pub user: *mut c_void,
    /// A FreshetGoal.
    pub goal: i32,
    /// Whether peers are used: 0 or 1, as all that follows.
    pub p2p: u8,
    /// Whether something is handed to peers: ask the player first. Off by default.
    pub sharing: u8,
    /// Whether installed files that look untouched are hashed, too.
    pub verify: u8,
    /// Whether browsers may link over WebTransport, where this node shares.
    pub web_transport: u8,
    /// Whether to make WebRTC data channels, where this node shares.
    pub web_rtc: u8,
    /// Base URLs where the same content can be had, each ending in a slash, with spaces between them: asked in this order
    /// where the origin in `url` fails, refuses, or lacks what is needed. NULL: none.
    pub mirrors: *const c_char,
}

impl Default for FreshetOptions {
    fn default() -> Self {
        let none = std::ptr::null();
        Self {
            size: size_of::<Self>() as u32,
            mode: FreshetMode::FRESHET_GET as i32,
            url: none,
            folder: none,
            key: none,
            parts: none,
            trackers: none,
            state_folder: none,
            listen: none,
            hours: none,
            download_rate: 0,
            upload_rate: 0,
            upload_bytes: 0,
            seed_ms: 0,
            look_every_ms: 5 * 60 * 1000,
            give_up_after_ms: 30 * 1000,
            on_event: None,
            user: std::ptr::null_mut(),
            goal: FreshetGoal::FRESHET_SPEED as i32,
            p2p: 1,
            sharing: 0,
            verify: 0,
            web_transport: 1,
            web_rtc: 1,
            mirrors: none,
        }
    }
}

/// Fills in the defaults. `size` is sizeof(FreshetOptions), as the caller's header has it.
///
/// # Safety
/// `options` may be written to, as far as `size`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn freshet_options_init(options: *mut FreshetOptions, size: u32) -> i32 {
    guard(|| {
        let length = check_size(options, size)?;
        let defaults = FreshetOptions { size, ..FreshetOptions::default() };
        let known = length.min(size_of::<FreshetOptions>());
        let bytes = options.cast::<u8>();
        // SAFETY: `length` bytes may be written, as the caller promises; what this library does not know is zero.
        unsafe { bytes.write_bytes(0, length) };
        // SAFETY: `known` is within both structs, which do not overlap.
        unsafe { bytes.copy_from_nonoverlapping((&raw const defaults).cast(), known) };
        Ok(FRESHET_OK as i32)
    })
}

fn check_size(options: *const FreshetOptions, size: u32) -> Result<usize, Failure> {
    if options.is_null() {
        return Err(Failure::usage("options are NULL"));
    }
    match size as usize {
        size if size >= offset_of!(FreshetOptions, key) && size <= SIZE_MAX => Ok(size),
        _ => Err(Failure::usage(format!("{size} is not the size of options; call freshet_options_init"))),
    }
}

/// The options as far as the caller's header and this library both know them.
///
/// # Safety
/// `options` is null, or leads to a struct as [`freshet_options_init`] fills it in.
pub(crate) unsafe fn take(options: *const FreshetOptions) -> Result<FreshetOptions, Failure> {
    if options.is_null() {
        return Err(Failure::usage("options are NULL"));
    }
    // SAFETY: the size comes first, in all versions.
    let size = unsafe { options.cast::<u32>().read() };
    let known = check_size(options, size)?.min(size_of::<FreshetOptions>());
    let mut own = FreshetOptions::default();
    let place = (&raw mut own).cast::<u8>();
    // SAFETY: `known` is within both structs, which do not overlap.
    unsafe { place.copy_from_nonoverlapping(options.cast(), known) };
    Ok(own)
}

impl FreshetOptions {
    pub(crate) fn mode(&self) -> Result<FreshetMode, Failure> {
        [FreshetMode::FRESHET_GET, FreshetMode::FRESHET_FOLLOW, FreshetMode::FRESHET_REPAIR]
            .into_iter()
            .find(|mode| *mode as i32 == self.mode)
            .ok_or_else(|| Failure::usage(format!("mode is {}", self.mode)))
    }

    /// The same as the library in Rust says it.
    ///
    /// # Safety
    /// All texts are null, or end with a zero.
    pub(crate) unsafe fn to_rust(self) -> Result<GetOptions, Failure> {
        // SAFETY: as the caller promises.
        let text = |name, text| unsafe { strings::read(name, text) };
        let url = text("url", self.url)?.ok_or_else(|| Failure::usage("url is NULL"))?;
        let folder = text("folder", self.folder)?.ok_or_else(|| Failure::usage("folder is NULL"))?;
        let mut options = GetOptions::new(url, folder)?;
        if let Some(key) = parsed("key", text("key", self.key)?)? {
            options.key = Some(key);
        }
        options.parts = parsed("parts", text("parts", self.parts)?)?;
        options.trackers = words(text("trackers", self.trackers)?);
        options.mirrors = words(text("mirrors", self.mirrors)?);
        if let Some(url) =
            options.trackers.iter().find(|url| !url.starts_with("ws://") && !url.starts_with("wss://"))
        {
            return Err(Failure::usage(format!("tracker {url:?} must start with ws:// or wss://")));
        }
        options.state_dir = text("state_folder", self.state_folder)?.map(Into::into);
        if let Some(listen) = parsed("listen", text("listen", self.listen)?)? {
            options.listen = listen;
        }
        let hours = parsed("hours", text("hours", self.hours)?)?;
        options.control.change(|wishes| wishes.hours = hours);
        options.policy = Policy {
            p2p: self.p2p != 0,
            sharing: self.sharing != 0,
            goal: match self.goal {
                goal if goal == FreshetGoal::FRESHET_SPEED as i32 => Goal::Speed,
                goal if goal == FreshetGoal::FRESHET_OFFLOAD as i32 => Goal::Offload,
                other => return Err(Failure::usage(format!("goal is {other}"))),
            },
            download_bytes_s_max: download_rate(self.download_rate)?,
            upload_bytes_s_max: bound(self.upload_rate),
            upload_bytes_max: bound(self.upload_bytes),
            ..Policy::default()
        };
        options.seed_for = match self.seed_ms {
            u64::MAX => SeedFor::Forever,
            time => SeedFor::Time(Duration::from_millis(time)),
        };
        options.look_every = match self.look_every_ms {
            0 => None,
            1..1000 => return Err(Failure::usage("look_every_ms is from 1000, or 0")),
            time => Some(Duration::from_millis(time)),
        };
        options.give_up_after = Duration::from_millis(self.give_up_after_ms);
        options.verify = self.verify != 0;
        options.web_transport = self.web_transport != 0;
        options.web_rtc = self.web_rtc != 0;
        Ok(options)
    }
}

/// What a text stands for, if there is one.
pub(crate) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    name: &str,
    text: Option<&str>,
) -> Result<Option<T>, Failure> {
    let wrong = |error: T::Err| Failure::usage(format!("{name}: {error}"));
    text.map(|text| text.parse().map_err(wrong)).transpose()
}

/// What stands between spaces.
fn words(text: Option<&str>) -> Vec<String> {
    text.unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect()
}

/// 0 stands for no bound.
pub(crate) fn bound(value: u64) -> Option<u64> {
    (value > 0).then_some(value)
}

pub(crate) fn download_rate(rate: u64) -> Result<Option<u64>, Failure> {
    let checked = bound(rate).map(check_download_rate).transpose();
    checked.map_err(|error| Failure::usage(format!("{error}; 0 is no bound")))
}
