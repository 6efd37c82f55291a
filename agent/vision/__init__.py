"""Pure functions of pictures: motion, scene, detector, tracker. No threads, clock, disk writes or network."""
