//! Events: one a transition, with the engine's own words, in their order. They are told as well as possible, and never
//! waited for: an event must not hold up a rollback.

use kube::{
    Resource,
    runtime::events::{Event, EventType, Recorder},
};

use tokio::sync::mpsc;

use crate::{api::DatabaseRollout, engine::Note};

/// The API server refuses longer notes.
const NOTE_MAX_BYTES: usize = 1000;

/// Events that wait to be told; beyond them they are lost rather than piled up.
const QUEUE_MAX: usize = 1000;

/// Where events are handed in.
#[derive(Clone)]
pub struct Events {
    queue: mpsc::Sender<(DatabaseRollout, Note)>,
}

impl Events {
    /// Publishes what is handed in, one after the other, until the last handle is gone.
    #[must_use]
    pub fn start(recorder: Recorder) -> Self {
        let (queue, mut waiting) = mpsc::channel::<(DatabaseRollout, Note)>(QUEUE_MAX);
        tokio::spawn(async move {
            while let Some((rollout, note)) = waiting.recv().await {
                publish(&recorder, &rollout, &note).await;
            }
        });
        Self { queue }
    }

    /// Hands a note in, as an event about the rollout.
    pub fn tell(&self, rollout: &DatabaseRollout, note: &Note) {
        if self.queue.try_send((rollout.clone(), note.clone())).is_err() {
            tracing::warn!(reason = note.reason, "an event was lost: too many wait to be told");
        }
    }
}

async fn publish(recorder: &Recorder, rollout: &DatabaseRollout, note: &Note) {
    let event = Event {
        type_: if note.warning { EventType::Warning } else { EventType::Normal },
        reason: note.reason.to_owned(),
        note: Some(clip(&note.message)),
        // The recorder counts events of the same reason and action as one: another stage, or attempt, is another.
        action: action(note, rollout),
        secondary: None,
    };
    let reference = rollout.object_ref(&());
    if let Err(error) = super::call("publish an event", recorder.publish(&event, &reference)).await {
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
