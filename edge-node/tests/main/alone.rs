//! Nodes whose tracker is gone, and soon their origin.

use freshet_edge_node::GetOptions;

use crate::peers::Swarm;
use crate::site::Running;
use crate::tree::{assert_same, noise, write};

#[tokio::test(flavor = "multi_thread")]
async fn a_swarm_lives_on_without_tracker_and_origin() {
    let swarm = Swarm::new().await;
    let source = swarm.site.source("1");
    write(&source, "data.pak", &noise(5, 6_000_000));
    swarm.site.publish_naming(&source, "1.0", vec![swarm.url()]).await;
    let origin = swarm.site.serve().await;
    let base = origin.url();
    let state = swarm.site.folder.path().join("state");
    let with_state = |name: &str| -> GetOptions {
        let mut options = swarm.options(&base, name, true);
        options.state_dir = Some(state.clone());
        options
    };

    let mut first = Running::start(swarm.options(&base, "first", true));
    first.installed().await;
    origin.shutdown().await;
    // It knows the first one, and leaves before the second one comes.
    let mut early = Running::start(with_state("early"));
    early.installed().await;
    assert_eq!(early.stop().await.0.links, 1);
    let mut second = Running::start(swarm.options(&base, "second", true));
    second.installed().await;

    let mut options = with_state("late");
    // Slow enough that it wants more links than the one that it remembers.
    options.policy.download_bytes_s_max = Some(1_000_000);
    let site = swarm.stop_tracker().await;
    let mut late = Running::start(options);
    late.installed().await;
    let (report, result) = late.stop().await;
    result.expect("installed");
    assert_same(&source, &site.target("late"));
    assert_eq!(report.bytes.origin, 0);
    assert_eq!(report.links, 2, "the one that it knew, and the one whom that has named");
    assert_eq!(first.stop().await.0.links, 3);
    assert_eq!(second.stop().await.0.links, 2);
}
