// Lets a pyramid of boxes and balls fall: a simulation of rigid bodies.
#include "bench.h"
#include <chipmunk/chipmunk.h>

// Two C libraries may differ in the last bit of a sine, and then the bodies go other ways. So both builds have this one.
double sin(double angle) {
  angle -= 6.283185307179586 * (long long)(angle / 6.283185307179586);
  double term = angle, sum = angle;
  for (int n = 1; n < 20; n++) sum += term *= -angle * angle / (2 * n * (2 * n + 1));
  return sum;
}

double cos(double angle) { return sin(angle + 1.5707963267948966); }

enum { ROWS = 14, STEPS = 2000 };

int main(void) {
  begin();
  cpSpace *space = cpSpaceNew();
  cpSpaceSetIterations(space, 20);
  cpSpaceSetGravity(space, cpv(0, -100));
  cpShape *ground = cpSpaceAddShape(space, cpSegmentShapeNew(cpSpaceGetStaticBody(space), cpv(-400, 0), cpv(400, 0), 5));
  cpShapeSetFriction(ground, 0.9);
  static cpBody *bodies[ROWS * (ROWS + 1) / 2];
  int count = 0;
  for (int row = 0; row < ROWS; row++) {
    for (int at = 0; at <= row; at++) {
      cpBody *body = cpSpaceAddBody(space, cpBodyNew(1, cpMomentForBox(1, 20, 20)));
      cpBodySetPosition(body, cpv(at * 24 - row * 12, 320 - row * 22));
      cpShape *shape = (row + at) % 3 ? cpBoxShapeNew(body, 20, 20, 0.5) : cpCircleShapeNew(body, 10, cpvzero);
      cpShapeSetFriction(cpSpaceAddShape(space, shape), 0.8);
      bodies[count++] = body;
    }
  }
  for (int step = 0; step < STEPS; step++) cpSpaceStep(space, 1.0 / 120);
  for (int at = 0; at < count; at++) {
    cpVect place = cpBodyGetPosition(bodies[at]);
    check(&place, sizeof place);
  }
  end();
}
