//! The tracker: pairs peers, relays signalling, spreads first copies, answers STUN. It sees no content and never dials
//! an address that a peer gave it.

pub mod swarms;
