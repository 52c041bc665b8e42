//! The plans of `loadtest/plans`, so that the program finds them wherever it stands.

/// Name and text of each plan.
pub const BUILTIN_PLANS: &[(&str, &str)] = &[
    ("big", include_str!("../../plans/big.json")),
    ("fifty", include_str!("../../plans/fifty.json")),
    ("flash-40", include_str!("../../plans/flash-40.json")),
    ("flash-40ms", include_str!("../../plans/flash-40ms.json")),
    ("flash-40ms-speed", include_str!("../../plans/flash-40ms-speed.json")),
    ("flash-hostile", include_str!("../../plans/flash-hostile.json")),
    ("flash-http", include_str!("../../plans/flash-http.json")),
    ("flash-leavers", include_str!("../../plans/flash-leavers.json")),
    ("flash-offload", include_str!("../../plans/flash-offload.json")),
    ("flash-poor-origin", include_str!("../../plans/flash-poor-origin.json")),
    ("flash-speed", include_str!("../../plans/flash-speed.json")),
    ("four", include_str!("../../plans/four.json")),
    ("four-http", include_str!("../../plans/four-http.json")),
    ("one", include_str!("../../plans/one.json")),
    ("one-http", include_str!("../../plans/one-http.json")),
    ("seeded", include_str!("../../plans/seeded.json")),
    ("tiny", include_str!("../../plans/tiny.json")),
    ("two", include_str!("../../plans/two.json")),
    ("two-http", include_str!("../../plans/two-http.json")),
];
