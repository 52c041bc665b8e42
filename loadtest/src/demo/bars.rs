//! A bar for each node, on a terminal.

use std::io::Write;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::live::{NodeView, Scene, View, megabytes};

/// The bars of a run, and a line below them about all.
#[derive(Debug)]
pub(crate) struct Bars {
    screen: MultiProgress,
    nodes: Vec<ProgressBar>,
    all: ProgressBar,
    is_closed: bool,
}

impl Bars {
    /// For so many nodes.
    pub(crate) fn new(nodes: u32) -> Self {
        let screen = MultiProgress::new();
        let style = ProgressStyle::with_template("node {prefix:>2} {bar:28} {percent:>3} %  {msg}")
            .expect("a good template");
        let bar = |number: u32| {
            let bar = ProgressBar::new(1).with_style(style.clone()).with_prefix(number.to_string());
            screen.add(bar)
        };
        let nodes = (0..nodes).map(bar).collect();
        let below = ProgressStyle::with_template("{msg}").expect("a good template");
        let all = screen.add(ProgressBar::new(1).with_style(below));
        Self { screen, nodes, all, is_closed: false }
    }
}

impl View for Bars {
    fn say(&mut self, text: &str) {
        // A terminal that went away does not end the run.
        let _ =
            if self.is_closed { writeln!(std::io::stderr(), "{text}") } else { self.screen.println(text) };
    }

    fn show(&mut self, scene: &Scene) {
        for (bar, node) in self.nodes.iter().zip(&scene.nodes) {
            let done_bytes = if node.is_done { node.total_bytes } else { node.done_bytes };
            bar.set_length(node.total_bytes.max(1));
            bar.set_position(done_bytes);
            bar.set_message(sources(node));
        }
        self.all.set_message(format!(
            "{:.1} s  {} of {} done  origin {:.0} Mbit/s  peers {:.0} Mbit/s",
            scene.at_ms / 1000.0,
            scene.finished,
            scene.jobs,
            scene.origin_mbit,
            scene.peers_mbit
        ));
    }

    fn close(&mut self) {
        // The table says it all once more.
        self.nodes.iter().chain([&self.all]).for_each(ProgressBar::finish_and_clear);
        let _ = self.screen.clear();
        self.is_closed = true;
    }
}

fn sources(node: &NodeView) -> String {
    let state = if node.is_done { "  installed" } else { "" };
    format!(
        "{:>9} from peers, {:>9} from the origin{state}",
        megabytes(node.peer_bytes),
        megabytes(node.origin_bytes)
    )
}
