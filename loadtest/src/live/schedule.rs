//! When who starts and who leaves.

use std::time::Duration;

use super::node::Node;
use crate::plan::Plan;
use crate::random::Random;

/// What the plan wants at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The node of this number starts.
    Start(usize),
    /// It vanishes.
    Leave(usize),
    /// The fault of this number comes.
    Fault(usize),
}

/// When who starts and leaves, in order.
pub(super) fn schedule(plan: &Plan, nodes: &[Node], seed: u64) -> Vec<(Duration, Step)> {
    let mut random = Random::new(seed);
    let mut steps = Vec::new();
    for node in nodes {
        let group = &plan.groups[node.group];
        let spread_us = random.below(u64::from(group.start_spread_ms) * 1000);
        let start = Duration::from_millis(u64::from(group.start_at_ms)) + Duration::from_micros(spread_us);
        if !group.seed {
            steps.push((start, Step::Start(node.number)));
        }
        let leave = group.leave_after_ms.map(|after_ms| start + Duration::from_millis(u64::from(after_ms)));
        steps.extend(leave.map(|at| (at, Step::Leave(node.number))));
    }
    let faults = plan.faults.iter().enumerate();
    steps.extend(
        faults.map(|(number, fault)| (Duration::from_millis(fault.at_ms.into()), Step::Fault(number))),
    );
    steps.sort_by_key(|(at, _)| *at);
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::read_plan;

    #[test]
    fn steps_follow_the_plan_and_the_seed() {
        let steps = |name: &str, seed| {
            let plan = read_plan(name, &[]).expect("built in");
            let groups = plan.groups.iter().enumerate();
            let of_group = groups.flat_map(|(group, facts)| (0..facts.count).map(move |_| group));
            let nodes: Vec<Node> = of_group
                .enumerate()
                .map(|(number, group)| Node { number, group, ..Node::default() })
                .collect();
            schedule(&plan, &nodes, seed)
        };
        let first = steps("flash-leavers", 1);
        assert_eq!(first, steps("flash-leavers", 1));
        assert_ne!(first, steps("flash-leavers", 2));
        assert!(first.is_sorted_by_key(|(at, _)| *at));
        let starts =
            first.iter().filter(|(at, step)| matches!(step, Step::Start(_)) && *at <= Duration::from_secs(2));
        assert_eq!((starts.count(), first.len()), (20, 26));
        // Seeds stand before the clock starts.
        assert_eq!(steps("seeded", 1).len(), 30);
    }
}
