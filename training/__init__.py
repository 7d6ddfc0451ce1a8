"""From traversals to training data: journeys, the gate in front of them, and the sets that are trained on.

- compiler, pure: compile; journey, tries, modelwords, embedding; longstep, longmonolog, telling, phrases;
  shortcut, detours; nodeturns; recover, which reads a text back
- gate: gate, gateconfig, gateerror; runsource, candidate, sifting, rules, rejection; passages, words,
  decontamination, duplicates; thinning, balance, split; gated, gatefigures, gatereport
- sets: journeyset, setfolder, setmanifest, setfigures, samplefile, card, markdown; inspection
- review: experts' reviews, their file, and the queue of what is reviewed
- rewrite: monologues rewritten by a model, and the check that they still tell the journey
- settings in TOML: configfile
- fine-tuning: sft, trainconfig, trainingjob, trainingerror; traintokens, supervision; trainwatch, trainingcard;
  merge; presets and launch configurations as files
- the improvement loop: loop, workshop; loopconfig, loopcases, loopstate, looperror; keeprule; loopsummary
"""
