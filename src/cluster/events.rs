//! Events: one a transition, with the engine's own words. They are told as well as possible, and never waited for.

use kube::{
    Resource,
    runtime::events::{Event, EventType, Recorder},
};

use crate::{api::DatabaseRollout, engine::Note};

/// The API server refuses longer notes.
const NOTE_MAX_BYTES: usize = 1000;

/// Publishes a note as an event about the rollout.
pub async fn publish(recorder: &Recorder, rollout: &DatabaseRollout, note: &Note) {
    let event = Event {
        type_: if note.warning { EventType::Warning } else { EventType::Normal },
        reason: note.reason.to_owned(),
        note: Some(clip(&note.message)),
        // The recorder counts events of the same reason and action as one: another stage, or another attempt, is another.
        action: action(note, rollout),
        secondary: None,
    };
    if let Err(error) = recorder.publish(&event, &rollout.object_ref(&())).await {
        let error = super::ClusterError::of("publish an event".to_owned(), &error);
        tracing::warn!(reason = note.reason, %error, "an event was lost");
    }
}

fn action(note: &Note, rollout: &DatabaseRollout) -> String {
    let recorded = rollout.status.as_ref().map(|status| &status.recorded);
    let run = recorded.map_or(0, |recorded| recorded.run);
    let stage = recorded.and_then(|recorded| recorded.stages.iter().find(|stage| stage.name == note.stage));
    match stage {
        None => format!("Rollout, run {run}"),
        Some(stage) => format!("Stage {}, run {run}, attempt {}", stage.name, stage.attempt),
    }
}

fn clip(text: &str) -> String {
    let mut end = text.len().min(NOTE_MAX_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
