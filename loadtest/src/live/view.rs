//! How a run looks while it goes on.

use std::io::Write;

/// Lines are written this often, in milliseconds.
const LINE_EVERY_MS: f64 = 1000.0;

/// One node at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct NodeView {
    /// Bytes that are there.
    pub(crate) done_bytes: u64,
    /// Bytes of the release; 0: not known yet.
    pub(crate) total_bytes: u64,
    /// Bytes that came from peers.
    pub(crate) peer_bytes: u64,
    /// Bytes that came from the origin.
    pub(crate) origin_bytes: u64,
    /// Whether the release is installed.
    pub(crate) is_done: bool,
}

/// A run at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scene {
    /// Since its begin, in milliseconds.
    pub(crate) at_ms: f64,
    /// Mean share of the release that the counted nodes hold.
    pub(crate) completion: f64,
    /// Counted nodes, and those of them that are done.
    pub(crate) jobs: u32,
    pub(crate) finished: u32,
    /// What the origin and all peers send, in Mbit/s.
    pub(crate) origin_mbit: f64,
    pub(crate) peers_mbit: f64,
    /// Share of the machine's time that was idle, where that is known.
    pub(crate) idle: Option<f64>,
    /// Each node.
    pub(crate) nodes: Vec<NodeView>,
}

/// Something that shows a run.
pub(crate) trait View {
    /// Says what is being prepared, or has happened.
    fn say(&mut self, text: &str);
    /// Shows the run at this moment; called about four times a second.
    fn show(&mut self, scene: &Scene);
    /// The run is over.
    fn close(&mut self);
}

/// A line each second, for logs and pipes.
#[derive(Debug)]
pub(crate) struct Lines<Out> {
    out: Out,
    next_ms: f64,
}

impl<Out: Write> Lines<Out> {
    /// Writes to `out`.
    pub(crate) fn new(out: Out) -> Self {
        Self { out, next_ms: 0.0 }
    }
}

impl<Out: Write> View for Lines<Out> {
    fn say(&mut self, text: &str) {
        // A reader that went away does not end the run.
        let _ = writeln!(self.out, "{text}");
    }

    fn show(&mut self, scene: &Scene) {
        if scene.at_ms < self.next_ms {
            return;
        }
        self.next_ms = scene.at_ms + LINE_EVERY_MS;
        let idle = scene.idle.map_or(String::new(), |idle| format!("  idle {:.0} %", idle * 100.0));
        let line = format!(
            "{:6.1} s  {:5.1} %  {} of {} done  origin {:.1} Mbit/s  peers {:.1} Mbit/s{idle}",
            scene.at_ms / 1000.0,
            scene.completion * 100.0,
            scene.finished,
            scene.jobs,
            scene.origin_mbit,
            scene.peers_mbit,
        );
        let _ = writeln!(self.out, "{line}");
    }

    fn close(&mut self) {
        let _ = self.out.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second() {
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out);
        for at_ms in [0.0, 250.0, 999.0, 1000.0, 1250.0, 2100.0] {
            lines.show(&Scene { at_ms, completion: 0.5, jobs: 4, idle: Some(0.25), ..Scene::default() });
        }
        let text = String::from_utf8(out).expect("text");
        let first = "   0.0 s   50.0 %  0 of 4 done  origin 0.0 Mbit/s  peers 0.0 Mbit/s  idle 25 %";
        assert_eq!((text.lines().count(), text.lines().next()), (3, Some(first)), "{text}");
    }
}
